package evaluate

import (
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"dynvit/backends/all"
	"dynvit/engine"
	"dynvit/vit"
)

// write makes a picture of waves of a colour; an empty one for the name broken.
func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for i, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		img := image.NewRGBA(image.Rect(0, 0, 40, 30))
		for p := range 40 * 30 {
			img.SetRGBA(p%40, p/40, color.RGBA{uint8(p * (i + 1)), uint8(40 * i), uint8(p / 7), 255})
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) != "broken.png" {
			err = png.Encode(f, img)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// named knows the classes 0 to 9 by number, and "n007" and "dog".
func named(name string) int {
	switch name {
	case "n007":
		return 7
	case "dog":
		return 3
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < 10 {
		return n
	}
	return -1
}

func TestList(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pictures")
	write(t, dir, "n007/a.png", "dog/x.png", "4/y.png", "005_cock.png", "else/003_a.PNG", "else/zebra.png", "else/99_far.png", "_.png")
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := List(dir, named)
	if err != nil {
		t.Fatal(err)
	}
	var got []Picture
	for _, p := range list {
		name, _ := filepath.Rel(dir, p.Path)
		got = append(got, Picture{name, p.Class})
	}
	want := []Picture{{"005_cock.png", 5}, {"4/y.png", 4}, {"_.png", -1}, {"dog/x.png", 3},
		{"else/003_a.PNG", 3}, {"else/99_far.png", -1}, {"else/zebra.png", -1}, {"n007/a.png", 7}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, empty := range []string{t.TempDir(), filepath.Join(dir, "nowhere")} {
		if _, err := List(empty, named); err == nil {
			t.Errorf("%s: no error", empty)
		}
	}
}

// TestListByALink: a data set may be named by a link to its folder.
func TestListByALink(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "set/4/y.png")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "set"), link); err != nil {
		t.Fatal(err)
	}
	list, err := List(link, named)
	if want := []Picture{{filepath.Join(link, "4", "y.png"), 4}}; err != nil || !slices.Equal(list, want) {
		t.Errorf("%v, %v, want %v", list, err, want)
	}
}

func TestSpread(t *testing.T) {
	list := make([]Picture, 10)
	for i := range list {
		list[i].Class = i
	}
	for limit, want := range map[int][]int{0: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 99: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 5: {0, 2, 4, 6, 8}, 3: {0, 3, 6}, 1: {0}} {
		var got []int
		for _, p := range Spread(list, limit) {
			got = append(got, p.Class)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d of 10: %v, want %v", limit, got, want)
		}
	}
}

func open(t *testing.T, o engine.Options) *engine.Engine {
	t.Helper()
	e, err := engine.Open(o, all.List())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// TestRun counts by hand what a model says of its own answers: labelled by them
// it is right everywhere, labelled by others nowhere.
func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pictures")
	write(t, dir, "a.png", "b.png", "broken.png", "c.png", "d.png")
	e := open(t, engine.Options{Precision: "f32"})
	pictures, err := List(dir, e.Class)
	if err != nil {
		t.Fatal(err)
	}
	plan := func(ratio float64) vit.Plan {
		p, err := e.Plan(vit.Keep{Ratio: ratio})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	failed, last := 0, 0
	o := Options{Plan: plan(1), Failed: func(string, error) { failed++ }, Progress: func(done, _ int) { last = done }}
	r, err := Run(t.Context(), e, pictures, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Images != 4 || r.Skipped != 1 || failed != 1 || last != 5 || r.Labelled != 0 || r.Top1 != 0 || r.Agree != 1 || r.Seconds <= 0 {
		t.Errorf("%+v, %d failed, progress %d", r, failed, last)
	}
	answers := answersOf(t, e, pictures, o)
	for i := range pictures {
		pictures[i].Class = answers[i]
	}
	pictures[0].Class = (answers[0] + 1) % 10
	if r, err = Run(t.Context(), e, pictures, o); err != nil || r.Labelled != 4 || r.Top1 != 0.75 || r.Confusion[[2]int{pictures[0].Class, answers[0]}] != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	o.Plan, o.Reference = plan(0.1), open(t, engine.Options{Precision: "f32"})
	pruned := answersOf(t, e, pictures, Options{Plan: o.Plan})
	same := 0.0
	for i := range pictures {
		if pruned[i] >= 0 && pruned[i] == answers[i] {
			same++
		}
	}
	if r, err = Run(t.Context(), e, pictures, o); err != nil || r.Agree != same/4 || r.Tokens[3] != 2 {
		t.Errorf("agreement %v, want %v; tokens %v, %v", r.Agree, same/4, r.Tokens, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, e, pictures, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// answersOf asks for one picture at a time; -1 where it cannot be read.
func answersOf(t *testing.T, e *engine.Engine, list []Picture, o Options) []int {
	t.Helper()
	var answers []int
	for _, p := range list {
		r, err := Run(t.Context(), e, []Picture{{p.Path, 0}}, Options{Plan: o.Plan})
		if err != nil {
			t.Fatal(err)
		}
		answer := -1
		for pair := range r.Confusion {
			answer = pair[1]
		}
		answers = append(answers, answer)
	}
	return answers
}
