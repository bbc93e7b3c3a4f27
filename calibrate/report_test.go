package calibrate

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWriteText(t *testing.T) {
	var b bytes.Buffer
	if err := WriteText(&b, table(t)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	if len(lines) != 7 {
		t.Fatalf("%d lines:\n%s", len(lines), b.String())
	}
	for i, want := range map[int][]string{
		0: {"imagenette on AMD EPYC, 1280x720 jpeg: budget 25 ms at p95"},
		1: {"patches", "p95 within", "agreement"},
		2: {"!", "196,196,196"},
		3: {"*", "137,96,67", "18.00-20.00", "95.0 %"},
		6: {"chosen: keep 0.7 (137,96,67) f32 on 1 thread, at most 20 ms at p95, agreement 95.0 % (88.8-97.8)"},
	} {
		for _, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("line %d %q lacks %q", i, lines[i], w)
			}
		}
	}
	if strings.ContainsAny(lines[4], "!*") {
		t.Errorf("line %q is marked", lines[4])
	}
}

func TestWriteTextOfDoubtfulTables(t *testing.T) {
	bare := &Table{Partial: true, Points: []Measured{found(1, f1, 30, 1)}}
	bare.Points[0].Quality = Quality{}
	bare.Model.Name = "x\x1b[2J"
	var b bytes.Buffer
	if err := WriteText(&b, bare); err != nil || !strings.Contains(b.String(), "cut off") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%q, %v", b.String(), err)
	}
	labelled := labelledTable(t, 3, 90)
	b.Reset()
	if err := WriteText(&b, labelled); err != nil || !strings.Contains(b.String(), "accuracy 50.0 % (39.9-60.1)") || strings.Contains(b.String(), "measure") {
		t.Errorf("%q, %v", b.String(), err)
	}
	labelled.Chosen = nil
	b.Reset()
	if err := WriteText(&b, labelled); err != nil || !strings.Contains(b.String(), "no point meets the budget") {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// labelledTable has points that are right on every other of n pictures of so many classes.
func labelledTable(t *testing.T, classes, n int) *Table {
	made := table(t)
	for i := range made.Points {
		made.Points[i] = answering(made.Points[i], classes, n, func(i int) bool { return i%2 == 0 })
	}
	if err := made.Choose(25 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	return made
}

// TestLabelsThatAreNoMeasure: what did not decide, and why, is said, in the text and in the file.
func TestLabelsThatAreNoMeasure(t *testing.T) {
	for _, c := range []struct {
		classes, n    int
		says, quality string
	}{
		{3, 90, "", "accuracy"},
		{1, 97, "labels are no measure: 1 class judged, 97 pictures of the rarest; want 3 and 30 (more pictures, or more time to judge them): agreement decided", "agreement"},
		{2, 90, "2 classes judged, 45 pictures of the rarest", "agreement"},
		{10, 290, "10 classes judged, 29 pictures", "agreement"},
	} {
		made := labelledTable(t, c.classes, c.n)
		var text, file, svg bytes.Buffer
		if err := errors.Join(WriteText(&text, made), made.Encode(&file), WriteSVG(&svg, made)); err != nil {
			t.Fatal(err)
		}
		if got := made.Doubt(); (got == "") != (c.says == "") || !strings.Contains(got, c.says) || !strings.Contains(text.String(), got) {
			t.Errorf("%d classes: said %q, want %q, in\n%s", c.classes, got, c.says, text.String())
		}
		if want := `"quality": "` + c.quality + `"`; !strings.Contains(file.String(), want) {
			t.Errorf("%d classes: the file lacks %s", c.classes, want)
		}
		if want := "latency and " + c.quality; !strings.Contains(svg.String(), want) {
			t.Errorf("%d classes: the drawing lacks %q", c.classes, want)
		}
		again, err := Read(&file)
		if err != nil || !reflect.DeepEqual(again, made) {
			t.Errorf("%d classes: read back %+v, %v", c.classes, again, err)
		}
	}
}

// shapes counts the elements of a drawing by class and fails on broken XML.
func shapes(t *testing.T, svg string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts
		}
		if err != nil {
			t.Fatalf("broken XML: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					counts[a.Value]++
				}
			}
		}
	}
}

func TestWriteSVG(t *testing.T) {
	made := table(t)
	made.Model.Name = `<a & "b">`
	var b bytes.Buffer
	if err := WriteSVG(&b, made); err != nil {
		t.Fatal(err)
	}
	got := shapes(t, b.String())
	// Beside the legend's: two panels, four points, two rings.
	if got["band"] != 1+2 || got["dot"] != 1+4 || got["budget"] != 1+2 || got["chosen"] != 1+2 || got["name"] != 2 {
		t.Errorf("shapes %v", got)
	}
	for _, want := range []string{"prefers-color-scheme:dark", "&lt;a &amp;", "f32 on 1 thread", "int8 on 1 thread", "keep ratio"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the drawing lacks %q", want)
		}
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Error("the drawing has values that are no numbers")
	}
}

func TestWriteSVGOfOddTables(t *testing.T) {
	far := table(t)
	far.BudgetMS = 1e6
	one := &Table{BudgetMS: 5, Percentile: 95, Points: []Measured{found(1, f1, 30, 1)}}
	for name, table := range map[string]*Table{"far budget": far, "one point": one, "no points": {BudgetMS: 1, Percentile: 50, Partial: true}} {
		var b bytes.Buffer
		if err := WriteSVG(&b, table); err != nil {
			t.Fatal(err)
		}
		shapes(t, b.String())
		if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("%s: values that are no numbers", name)
		}
		if arrow := strings.Contains(b.String(), "↑"); arrow != (name == "far budget") {
			t.Errorf("%s: budget beyond the top: %v", name, arrow)
		}
	}
}

func TestTicks(t *testing.T) {
	for most, want := range map[float64][]float64{10: {0, 2, 4, 6, 8, 10}, 0.9: {0, 0.2, 0.4, 0.6000000000000001, 0.8}, 53: {0, 10, 20, 30, 40, 50}, 0: nil} {
		if got := ticks(most); !slices.Equal(got, want) {
			t.Errorf("ticks(%v) = %v, want %v", most, got, want)
		}
	}
}

// TestRender writes a drawing of a simulated machine where CALIBRATE_SVG says, to
// look at.
func TestRender(t *testing.T) {
	f := newFake(11)
	f.noise, f.spike = 0.1, 0.03
	f.logits = func(p Point, frame int) []float32 {
		l := make([]float32, 10)
		l[frame%10] = 6
		if float64(frame*37%100)/100 > 0.8+0.2*p.KeepRatio {
			l[(frame+1)%10] = 7
		}
		return l
	}
	points := Grid(plans(1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4), []string{"f32", "int8"}, []int{1, 2})
	m, err := Run(t.Context(), f, points, Options{Frames: 100, Reference: dense("f32", 2), Clock: f.clock, JudgeLimit: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	made, err := NewTable(m, origin(), "1280x720 jpeg", 20*time.Millisecond, f.clock())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteSVG(&b, made); err != nil {
		t.Fatal(err)
	}
	if n := shapes(t, b.String())["name"]; n != 4 {
		t.Errorf("%d panels", n)
	}
	if path := os.Getenv("CALIBRATE_SVG"); path != "" {
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := WriteText(os.Stdout, made); err != nil {
			t.Fatal(err)
		}
	}
}
