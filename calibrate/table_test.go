package calibrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/machine"
	"dynvit/regular"
)

func origin() Origin {
	return Origin{
		Program: "1.2.3", Model: Model{"imagenette", strings.Repeat("ab", 32)}, Scorer: "predictor", Backend: "avx512",
		Machine: machine.Fingerprint{Arch: "amd64", CPU: "AMD EPYC", Features: []string{"avx2", "fma"}, Cores: 2, Governor: "performance"},
	}
}

func table(t testing.TB) *Table {
	points := []Measured{found(1, f1, 30, 1), found(0.7, f1, 20, 0.95), found(0.5, f1, 10, 0.8), found(0.7, i1, 15, 0.94)}
	created := time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)
	made, err := NewTable(Measurement{Percentile: 95, Points: points}, origin(), "1280x720 jpeg", 25*time.Millisecond, created)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTableJSON(t *testing.T) {
	made := table(t)
	var buf bytes.Buffer
	if err := made.Encode(&buf); err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(buf.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"schema", "created", "model", "machine", "frame", "budget_ms", "percentile", "points", "chosen"} {
		if _, ok := fields[name]; !ok {
			t.Errorf("no field %q", name)
		}
	}
	if fields["created"] != "2026-03-04T05:06:07.008Z" || fields["budget_ms"] != 25.0 {
		t.Errorf("created %v, budget %v", fields["created"], fields["budget_ms"])
	}
	chosen := fields["chosen"].(map[string]any)
	for _, name := range []string{"keep_ratio", "keep", "precision", "threads", "tokens", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "ci95_ms", "agreement"} {
		if _, ok := chosen[name]; !ok {
			t.Errorf("no field %q in a point", name)
		}
	}
	if ci := chosen["ci95_ms"].([]any); len(ci) != 2 || ci[1] != 20.0 {
		t.Errorf("ci95_ms %v", ci)
	}
	again, err := Read(&buf)
	if err == nil && again.Chosen != &again.Points[1] {
		t.Error("the choice is not one of the points")
	}
	if err != nil || !reflect.DeepEqual(again, made) {
		t.Errorf("read back %+v, %v, want %+v", again, err, made)
	}
}

func TestNewTableWithoutChoice(t *testing.T) {
	made, err := NewTable(Measurement{Percentile: 95, Points: []Measured{found(1, f1, 30, 1)}}, origin(), "", time.Millisecond, time.Now())
	var none *NothingFits
	if !errors.As(err, &none) || made.Chosen != nil || len(made.Points) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	text, err := json.Marshal(made)
	if err != nil || !bytes.Contains(text, []byte(`"chosen":null`)) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestReadRefuses(t *testing.T) {
	var good, withLabels bytes.Buffer
	if err := errors.Join(table(t).Encode(&good), labelledTable(t, 3, 90).Encode(&withLabels)); err != nil {
		t.Fatal(err)
	}
	changed := func(of, old, new string) string {
		text := strings.Replace(of, old, new, 1)
		if text == of {
			t.Fatalf("%q is not in the table", old)
		}
		return text
	}
	change := func(old, new string) string { return changed(good.String(), old, new) }
	labelled := func(old, new string) string { return changed(withLabels.String(), old, new) }
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "damaged"},
		{"not JSON", "\x00\x01", "damaged"},
		{"cut off", good.String()[:good.Len()/2], "damaged"},
		{"trailing", good.String() + "{}", "damaged"},
		{"another file", `{"a":1}`, "no schema"},
		{"newer", change(`"schema": 1`, `"schema": 2`), "schema 2: this program reads 1"},
		{"huge", strings.Repeat(" ", maxTable+1), "more than 4 MiB"},
		{"budget", change(`"budget_ms": 25`, `"budget_ms": -1`), "budget_ms -1"},
		{"percentile", change(`"percentile": 95`, `"percentile": 100`), "percentile 100"},
		{"infinite", change(`"p99_ms": 30`, `"p99_ms": 1e999`), "damaged"},
		{"order", change(`"p99_ms": 30`, `"p99_ms": 1`), "times"},
		{"interval", change("27,\n        30", "27"), "want [lo, hi]"},
		{"interval order", change("27,\n        30", "27,\n        3"), "ci95_ms"},
		{"agreement", change(`"agreement": 0.95`, `"agreement": 1.5`), "shares from 0 to 1"},
		{"threads", change(`"threads": 1`, `"threads": 0`), "at least one thread"},
		{"ratio", change(`"keep_ratio": 1`, `"keep_ratio": 0`), "keep ratio 0"},
		{"counts", change("137,\n        96", "96,\n        137"), "must not rise"},
		{"bits missing", strings.ReplaceAll(labelled(`"labelled": 90`, `"labelled": 99`), `"judged": 90`, `"judged": 100`), "right: want a bit for each of 99 labelled pictures"},
		{"bits beyond", labelled(`"labelled": 90`, `"labelled": 88`), "right: want a bit"},
		{"fewer than judged", labelled(`"judged": 90`, `"judged": 89`), "90 labelled pictures of 89 judged"},
		{"labels below 0", labelled(`"labelled": 90`, `"labelled": -1`), "-1 labelled"},
		{"twice", change(`"int8"`, `"f32"`), "given twice"},
		{"type", change(`"threads": 1`, `"threads": "one"`), "damaged"},
		{"no points", `{"schema":1,"budget_ms":1,"percentile":95}`, "no points"},
		{"foreign choice", strings.Replace(good.String(), good.String()[strings.Index(good.String(), `"chosen"`):], `"chosen": {"keep_ratio":0.9,"keep":[1,1,1],"precision":"f32","threads":1}}`, 1), "not in the table"},
	} {
		_, err := Read(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", c.name, err, c.want)
		}
	}
}

func TestMatches(t *testing.T) {
	made := table(t)
	if err := made.Matches(origin()); err != nil {
		t.Errorf("refused where it was made: %v", err)
	}
	warm := 80.0
	harmless := origin()
	harmless.Model.Name, harmless.Machine.TemperatureC = "renamed", &warm
	if err := made.Matches(harmless); err != nil {
		t.Errorf("a renamed model on a warm machine is refused: %v", err)
	}
	for _, c := range []struct {
		change func(*Origin)
		want   string
	}{
		{func(o *Origin) { o.Model.SHA256 = "00" }, "another model"},
		{func(o *Origin) { o.Program = "1.2.4" }, `program version: "1.2.3", here "1.2.4"`},
		{func(o *Origin) { o.Scorer = "attention" }, "another scorer"},
		{func(o *Origin) { o.Backend = "avx2" }, "another backend"},
		{func(o *Origin) { o.Machine.Arch = "arm64" }, "another architecture"},
		{func(o *Origin) { o.Machine.CPU = "Pi" }, "another CPU"},
		{func(o *Origin) { o.Machine.GPU = "H200" }, "another GPU: none"},
		{func(o *Origin) { o.Machine.GPUClockMHz = 624 }, "another GPU clock: none, here \"624 MHz\""},
		{func(o *Origin) { o.Machine.PowerMode = "7W" }, "another power mode: none, here \"7W\""},
		{func(o *Origin) { o.Machine.Cores = 4 }, `cores: "2", here "4"`},
		{func(o *Origin) { o.Machine.Governor = "powersave" }, "governor"},
		{func(o *Origin) { o.Machine.Features = []string{"avx2", "avx512f"} }, `"-fma +avx512f"`},
	} {
		now := origin()
		c.change(&now)
		if err := made.Matches(now); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	made.Partial = true
	if err := made.Matches(origin()); err == nil {
		t.Error("a partial table is taken")
	}
}

func TestTableChoose(t *testing.T) {
	made := table(t)
	if err := made.Choose(40 * time.Millisecond); err != nil || made.Chosen != &made.Points[0] || made.BudgetMS != 40 {
		t.Errorf("%v, %v at budget %v", made.Chosen, err, made.BudgetMS)
	}
	var none *NothingFits
	if err := made.Choose(time.Millisecond); !errors.As(err, &none) || made.Chosen != nil {
		t.Errorf("%v, %v", made.Chosen, err)
	}
}

func TestGroup(t *testing.T) {
	if got := table(t).Group(f1); !reflect.DeepEqual(got, []int{0, 1, 2}) {
		t.Errorf("points of %v: %v", f1, got)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calibration.json")
	if _, err := ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	made := table(t)
	if err := made.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	// A cancelled run leaves its points beside the whole calibration.
	partial := table(t)
	partial.Partial, partial.Points, partial.Chosen = true, partial.Points[:1], nil
	if err := partial.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil || !reflect.DeepEqual(got, made) {
		t.Errorf("after a cancelled run: %+v, %v", got, err)
	}
	if aside, err := ReadFile(path + PartialSuffix); err != nil || !aside.Partial || len(aside.Points) != 1 {
		t.Errorf("kept aside: %+v, %v", aside, err)
	}
	// What cannot be written leaves the old file too.
	broken := table(t)
	broken.BudgetMS = 0
	if err := broken.WriteFile(path); err == nil {
		t.Error("a table without a budget was written")
	}
	if got, err := ReadFile(path); err != nil || got.BudgetMS != 25 {
		t.Errorf("after a failed write: %+v, %v", got, err)
	}
	if err := made.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left in the folder: %v, %v", files, err)
	}
	if err := made.WriteFile(filepath.Join(dir, "no", "where.json")); err == nil || !strings.Contains(err.Error(), "where.json") {
		t.Errorf("error %v", err)
	}
}

func TestReadFileNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calibration.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.HasPrefix(err.Error(), "calibration "+path+": damaged") {
		t.Errorf("error %v", err)
	}
}

// FuzzReadTable: whatever is read passes its own check and survives a round
// trip.
func FuzzReadTable(f *testing.F) {
	var good bytes.Buffer
	if err := table(f).Encode(&good); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte(`{"schema":1,"budget_ms":1,"percentile":95,"partial":true}`))
	f.Add([]byte(`{"schema":1,"budget_ms":1e300,"percentile":1e-300,"points":[{"keep_ratio":1,"keep":[],"precision":"x","threads":1,"p50_ms":1,"p90_ms":1,"p95_ms":1,"p99_ms":1,"ci95_ms":[1,1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := read.Encode(&out); err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
		again, err := Read(&out)
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		if len(again.Points) != len(read.Points) || (again.Chosen == nil) != (read.Chosen == nil) {
			t.Fatalf("%+v became %+v", read, again)
		}
		_ = read.Matches(Origin{})
		for _, render := range []func() error{func() error { return WriteText(&out, read) }, func() error { return WriteSVG(&out, read) }} {
			if err := render(); err != nil {
				t.Fatalf("cannot show what was read: %v", err)
			}
		}
	})
}

// TestReadFileIrregular: a pipe in place of a table is refused without waiting for
// its other end.
func TestReadFileIrregular(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "calibration.json")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero"} {
		if _, err := ReadFile(path); !errors.Is(err, regular.ErrIrregular) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
