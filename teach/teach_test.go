package teach

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dynvit/camera"
	"dynvit/engine"
	"dynvit/vit"
)

// tree makes files of a folder; what a file is called is what fake sees in it.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("\x89PNG\r\n\x1a\n"+filepath.Base(name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestList: folders are classes; without any, what stands ahead of _ is.
func TestList(t *testing.T) {
	for name, c := range map[string]struct {
		files  []string
		want   string // of each picture: label/name
		labels string
		aside  string
	}{
		"folders":    {[]string{"open/b.jpg", "open/a.png", "shut/deep/c.JPEG", "shut/d.jpg", "shut/notes.txt"}, "open/a.png open/b.jpg shut/d.jpg shut/c.JPEG", "open shut", ""},
		"hidden":     {[]string{"open/b.jpg", "open/.a.jpg", "open/c.jpg", ".git/x.jpg", ".git/y.jpg", "shut/d.jpg", "shut/e.jpg"}, "open/b.jpg open/c.jpg shut/d.jpg shut/e.jpg", "open shut", ""},
		"loose":      {[]string{"open/b.jpg", "open/a.jpg", "shut/c.jpg", "shut/d.jpg", "open_e.jpg"}, "open/a.jpg open/b.jpg shut/c.jpg shut/d.jpg", "open shut", "open_e.jpg"},
		"prefixes":   {[]string{"open_1.jpg", "open_2.jpg", "shut_1.jpg", "shut_2_3.jpg", "x.jpg", "_y.jpg"}, "open/open_1.jpg open/open_2.jpg shut/shut_1.jpg shut/shut_2_3.jpg", "open shut", "_y.jpg x.jpg"},
		"odd labels": {[]string{"Tür offen/1.jpg", "Tür offen/2.jpg", "n0/1.jpg", "n0/2.jpg"}, "Tür offen/1.jpg Tür offen/2.jpg n0/1.jpg n0/2.jpg", "Tür offen n0", ""},
	} {
		e, err := List(tree(t, c.files...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got, aside []string
		for _, p := range e.Pictures {
			got = append(got, e.Labels[p.Class]+"/"+filepath.Base(p.Path))
		}
		for _, path := range e.Aside {
			aside = append(aside, filepath.Base(path))
		}
		if strings.Join(got, " ") != c.want || strings.Join(e.Labels, " ") != c.labels || strings.Join(aside, " ") != c.aside {
			t.Errorf("%s: %v of %v, aside %v", name, got, e.Labels, aside)
		}
	}
}

func TestListRefuses(t *testing.T) {
	for says, files := range map[string][]string{
		"no pictures":             {"a/readme.txt"},
		`only the class "open"`:   {"open/1.jpg", "open/2.jpg"},
		`"shut" has 1 pictures`:   {"open/1.jpg", "open/2.jpg", "shut/1.jpg"},
		"a|b":                     {"a|b/1.jpg", "a|b/2.jpg", "c/1.jpg", "c/2.jpg"},
		`"a\nb"`:                  {"a\nb/1.jpg", "a\nb/2.jpg", "c/1.jpg", "c/2.jpg"},
		"no such file":            nil,
		`label "xxxxxxxxxxxxxxxx`: {strings.Repeat("x", 101) + "/1.jpg", "b/1.jpg"},
	} {
		dir := filepath.Join(tree(t), "missing")
		if files != nil {
			dir = tree(t, files...)
		}
		if _, err := List(dir); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := List(tree(t, "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg") + "/../" + "x"); err == nil {
		t.Error("a folder that is not there is listed")
	}
}

// fake is a backbone of 8 features: a picture "axis scene …" lies along an axis, apart by
// its scene; pruning and views add a little noise.
type fake struct {
	looked int
	noise  float64
}

func (f *fake) Info() engine.Info { return engine.Info{Features: 8, Patches: 196, Stages: 3} }
func (f *fake) Plan(k vit.Keep) (vit.Plan, error) {
	return vit.PlanFor(k.Ratio, 196, 3)
}
func (f *fake) Ratio(k vit.Keep, _ vit.Plan) float64 { return k.Ratio }

func (f *fake) Features(dst []float32, frame *camera.Frame, v engine.View, plans []vit.Plan) ([]float32, error) {
	f.looked++
	var axis, scene int
	name := strings.TrimPrefix(string(frame.Data), "\x89PNG\r\n\x1a\n")
	if _, err := fmt.Sscanf(name, "%d %d", &axis, &scene); err != nil {
		return dst, errors.New("damaged")
	}
	for _, p := range plans {
		apart := rand.New(rand.NewPCG(uint64(axis), uint64(scene)))
		little := rand.New(rand.NewPCG(uint64(len(name)), uint64(p.Keep[0])))
		for i := range 8 {
			x := f.noise * apart.NormFloat64()
			if i == axis {
				x += 5
			}
			dst = append(dst, float32(x+0.05*little.NormFloat64()))
		}
	}
	return dst, nil
}

// scenes are files of classes along the first axes, so many scenes a class.
func scenes(classes, each int) (names []string) {
	for class := range classes {
		for scene := range each {
			names = append(names, fmt.Sprintf("class%d/%d %d .png", class, class, scene))
		}
	}
	return names
}

func list(t *testing.T, names ...string) Examples {
	t.Helper()
	e, err := List(tree(t, names...))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRun: classes that lie apart are told apart, held out and anew; what points elsewhere
// is none of them; the same pictures make the same head.
func TestRun(t *testing.T) {
	e := list(t, scenes(3, 12)...)
	phases := map[string]int{}
	o := Options{Threads: 2, Progress: func(p Progress) {
		if p.Done == p.Total {
			phases[p.Phase]++
		}
		if p.Done > p.Total || p.Left < 0 {
			t.Errorf("%+v", p)
		}
	}}
	h, r, err := Run(context.Background(), &fake{noise: 0.8}, e, o)
	if err != nil {
		t.Fatal(err)
	}
	h.Backbone = strings.Repeat("0", 64)
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	if r.Accuracy < 0.95 || r.Pictures != 36 || r.Folds != 5 || len(r.ByKeep) != 7 || !(r.CI95.Lo < r.Accuracy && r.CI95.Hi >= r.Accuracy) {
		t.Errorf("%+v", r)
	}
	if !reflect.DeepEqual(phases, map[string]int{"pictures": 1, "folds": 1, "curve": 1}) {
		t.Errorf("phases that ended: %v", phases)
	}
	again, _, err := Run(context.Background(), &fake{noise: 0.8}, e, Options{Threads: 1})
	if err != nil || !slices.Equal(again.Weight, h.Weight) || again.Temperature != h.Temperature || !reflect.DeepEqual(again.None, h.None) {
		t.Errorf("another head the second time (%v)", err)
	}
	scores, right, refused := make([]float32, 3), 0, 0
	for scene := range 100 {
		for axis := range 6 {
			x, err := (&fake{noise: 0.8}).Features(nil, picture(axis, 1000+scene), engine.View{}, []vit.Plan{{Keep: []int{196}}})
			if err != nil {
				t.Fatal(err)
			}
			known := h.Classify(x, scores)
			switch {
			case axis < 3 && known && scores[axis] == slices.Max(scores):
				right++
			case axis >= 3 && !known:
				refused++
			}
		}
	}
	if right < 270 || refused < 290 {
		t.Errorf("%d of 300 right and known, %d of 300 others refused", right, refused)
	}
}

func picture(axis, scene int) *camera.Frame {
	return &camera.Frame{Data: fmt.Appendf(nil, "\x89PNG\r\n\x1a\n%d %d x", axis, scene)}
}

// TestMislabelled: pictures that are given as another class come first among the doubtful.
func TestMislabelled(t *testing.T) {
	names := append(scenes(2, 15), "class0/1 77 .png", "class1/0 78 .png")
	_, r, err := Run(context.Background(), &fake{noise: 0.5}, list(t, names...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, d := range r.Doubtful {
		found = append(found, d.Label+" "+filepath.Base(d.Image)+" "+d.Looks)
	}
	slices.Sort(found)
	if want := []string{"class0 1 77 .png class1", "class1 0 78 .png class0"}; !slices.Equal(found, want) {
		t.Errorf("doubtful: %v, want %v", found, want)
	}
	if r.Confusion[0][1] != 1 || r.Confusion[1][0] != 1 || r.Classes[0].Pictures != 16 || r.Classes[0].Recall != 15.0/16 {
		t.Errorf("confusion %v, classes %+v", r.Confusion, r.Classes)
	}
}

// TestBursts: pictures of one scene are one scene, in one fold; a class of one scene
// alone is parted all the same, and that is said.
func TestBursts(t *testing.T) {
	var names []string
	for class := range 2 {
		for scene := range 8 {
			for shot := range 3 {
				names = append(names, fmt.Sprintf("class%d/%d %d %s.png", class, class, scene, strings.Repeat("s", shot)))
			}
		}
	}
	_, r, err := Run(context.Background(), &fake{noise: 2}, list(t, names...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Scenes != 16 || r.Classes[1].Scenes != 8 || len(r.Notes) != 0 {
		t.Errorf("%d scenes, %+v, %v", r.Scenes, r.Classes, r.Notes)
	}
	names = scenes(1, 10)
	for shot := range 12 {
		names = append(names, fmt.Sprintf("one/1 1 %s.png", strings.Repeat("s", shot)))
	}
	_, r, err = Run(context.Background(), &fake{noise: 2}, list(t, names...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Classes[1].Scenes != 5 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "one: ") {
		t.Errorf("%+v, %v", r.Classes, r.Notes)
	}
}

// TestGuessing: classes that look alike to the model are said to be guessed.
func TestGuessing(t *testing.T) {
	var names []string
	for scene := range 20 {
		names = append(names, fmt.Sprintf("open/0 %d .png", scene), fmt.Sprintf("shut/0 %d .png", 20+scene))
	}
	_, r, err := Run(context.Background(), &fake{noise: 2}, list(t, names...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Remarks) != 1 || r.Remarks[0] != (Remark{Kind: PerhapsGuess, Share: 0.5}) {
		t.Errorf("remarks %+v", r.Remarks)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "perhaps no better than a guess, which is right in 50.0 %") {
		t.Errorf("accuracy %v %+v, notes %q", r.Accuracy, r.CI95, r.Notes)
	}
}

// TestFolds: scenes stay whole and each fold has its share of each class.
func TestFolds(t *testing.T) {
	s := &sight{Examples: Examples{Labels: []string{"a", "b"}}}
	var group []int
	for i := range 60 {
		s.Pictures = append(s.Pictures, Picture{Class: i % 2})
		group = append(group, i%2+2*(i/4))
	}
	fold := foldsOf(s, group, 5)
	count := map[[2]int]int{}
	of := map[int]int{}
	for i, f := range fold {
		count[[2]int{f, i % 2}]++
		if known, is := of[group[i]]; is && known != f {
			t.Errorf("scene %d is in folds %d and %d", group[i], known, f)
		}
		of[group[i]] = f
	}
	for at, n := range count {
		if n != 6 {
			t.Errorf("fold %d has %d of class %d", at[0], n, at[1])
		}
	}
}

// TestThresholdFollowsTime: where pictures change slowly what comes next is known yet, though it
// is farther than any that lies between two that were seen.
func TestThresholdFollowsTime(t *testing.T) {
	const n, step = 40, 0.02 // radians
	at := func(i int) []float64 { return []float64{math.Cos(step * float64(i)), math.Sin(step * float64(i)), 0} }
	s := &sight{Examples: Examples{Labels: []string{"a", "b"}}, ratios: []float64{1}, rows: 1, width: 3}
	fold := make([]int, 2*n)
	for i := range 2 * n {
		s.Pictures, fold[i] = append(s.Pictures, Picture{Class: i / n}), i%5
		if i < n {
			s.x = append(s.x, at(i)...)
		} else {
			s.x = append(s.x, 0.001*float64(i-n), 0, 1) // always the same, far from the others
		}
	}
	trial := newTrial(s, fold, 5)
	centre := at(0)
	for i := 1; i < n; i++ {
		for k, v := range at(i) {
			centre[k] += v
		}
	}
	next := 1 - dot(direction(centre), at(n+1))
	if folds := trial.farthest(fold); folds >= next {
		t.Fatalf("the next is at %.4f, folds alone accept up to %.4f: the test tells nothing", next, folds)
	}
	if got := trial.threshold(); got < next || got > 2*next {
		t.Errorf("the next is at %.4f, the threshold %.4f", next, got)
	}
}

// TestFew: two pictures a class are enough, one that can be read is not; what cannot be
// read is told and counted.
func TestFew(t *testing.T) {
	_, r, err := Run(context.Background(), &fake{noise: 2}, list(t, scenes(2, 2)...), Options{})
	if err != nil || r.Folds != 2 || len(r.Curve) != 1 || len(r.Notes) != 3 || r.Remarks[1].Kind != Few || r.Remarks[1].Pictures != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	var failed []string
	o := Options{Failed: func(path string, err error) { failed = append(failed, filepath.Base(path)+": "+err.Error()) }}
	e := list(t, append(scenes(2, 2), "class0/broken.png")...)
	if _, r, err = Run(context.Background(), &fake{}, e, o); err != nil || r.Skipped != 1 || r.Pictures != 4 || !slices.Equal(failed, []string{"broken.png: damaged"}) {
		t.Errorf("%+v, %v, %v", r, failed, err)
	}
	e = list(t, "a/0 1 .png", "a/broken.png", "b/1 1 .png", "b/1 2 .png")
	if _, _, err = Run(context.Background(), &fake{}, e, o); err == nil || !strings.Contains(err.Error(), `of what could be read: class "a" has 1 pictures`) {
		t.Error(err)
	}
}

// TestNotNumbers: features that overflow are a picture that cannot be used, not a head
// of NaNs.
func TestNotNumbers(t *testing.T) {
	if _, _, err := Run(context.Background(), &fake{noise: math.Inf(1)}, list(t, scenes(2, 2)...), Options{}); err == nil {
		t.Error("no error")
	}
}

// TestCancel: a run ends by its context, in any phase.
func TestCancel(t *testing.T) {
	for _, phase := range []string{"pictures", "folds", "curve"} {
		ctx, stop := context.WithCancel(context.Background())
		_, _, err := Run(ctx, &fake{}, list(t, scenes(2, 6)...), Options{Progress: func(p Progress) {
			if p.Phase == phase {
				stop()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", phase, err)
		}
		stop()
	}
}

// TestExpected: errors that halve when pictures double go on so; no error, or no
// progress, is extended to nothing.
func TestExpected(t *testing.T) {
	p := expected([]Point{{10, 0.6}, {20, 0.8}, {40, 0.9}})
	if p == nil || p.Pictures != 80 || math.Abs(p.Accuracy-0.95) > 1e-9 {
		t.Errorf("%+v", p)
	}
	for _, points := range [][]Point{{{10, 0.9}, {20, 1}, {40, 1}}, {{10, 0.9}, {20, 0.8}, {40, 0.8}}, {{10, 0.9}, {10, 0.8}}} {
		if p := expected(points); p != nil {
			t.Errorf("%v: %+v", points, p)
		}
	}
}

// TestTemperature: overconfident logits are cooled down to what held-out pictures say.
func TestTemperature(t *testing.T) {
	s := &sight{ratios: []float64{1}, rows: 1, width: 1}
	tr := &trial{s: s, regression: regression{classes: 2, rows: 1, width: 1}, folds: 2}
	var h held
	for i := range 100 {
		s.Pictures, tr.class = append(s.Pictures, Picture{}), append(tr.class, i%2)
		sign := 1.0
		if i%10 < 2 { // 80 % are right
			sign = -1
		}
		if i%2 == 1 {
			sign = -sign
		}
		h = append(h, 10*sign, 0)
	}
	want := 10 / math.Log(4) // where the odds are 4
	if got := tr.temperature(h); math.Abs(got-want) > 0.4 {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestStrongest: the first that is no worse than the best but for chance; one that is
// clearly worse is not it.
func TestStrongest(t *testing.T) {
	for _, c := range []struct {
		losses [][]float64
		want   int
	}{
		{[][]float64{{5, 5, 5, 6}, {1, 2, 1, 2}, {1, 1, 2, 2}}, 1},
		{[][]float64{{1, 3, 1, 2}, {2, 1, 2, 1}, {9, 9, 9, 9}}, 0},
		{[][]float64{{2, 2}, {2, 2}}, 0},
		{[][]float64{{3, 3}, {2, 2}}, 1},
	} {
		if got := strongest(c.losses); got != c.want {
			t.Errorf("%v: %d, want %d", c.losses, got, c.want)
		}
	}
}
