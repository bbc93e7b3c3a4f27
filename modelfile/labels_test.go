package modelfile

import (
	"dynvit/internal/needs"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	two := []string{"n01440764", "n01443537"}
	for name, c := range map[string]struct {
		text           string
		names, synsets []string
	}{
		"synsets":        {"n01440764 tench, Tinca tinca\nn01443537\tgoldfish\n", []string{"tench, Tinca tinca", "goldfish"}, two},
		"synsets alone":  {"n01440764\nn01443537", two, two},
		"some synsets":   {"n01440764 tench\ngoldfish", []string{"n01440764 tench", "goldfish"}, nil},
		"plain":          {"cat\ndog", []string{"cat", "dog"}, nil},
		"Windows":        {"\ufeffcat\r\ndog\r\n", []string{"cat", "dog"}, nil},
		"array":          {` ["cat","dog"] `, []string{"cat", "dog"}, nil},
		"array of both":  {`["n01440764 tench","n01443537 goldfish"]`, []string{"tench", "goldfish"}, two},
		"object":         {`{"1":"dog","0":"cat"}`, []string{"cat", "dog"}, nil},
		"object of both": {`{"0":["n01440764","tench"],"1":["n01443537","goldfish"]}`, []string{"tench", "goldfish"}, two},
	} {
		l, err := ParseLabels([]byte(c.text))
		if err != nil || !slices.Equal(l.Names, c.names) || !slices.Equal(l.Synsets, c.synsets) {
			t.Errorf("%s: %+v (%v)", name, l, err)
		}
	}
}

func TestLabelsErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"empty":         {"", "is empty"},
		"blank":         {" \n\n", "is empty"},
		"empty line":    {"cat\n\ndog", "label 1 is empty"},
		"empty label":   {`["cat",""]`, "label 1 is empty"},
		"separator":     {"cat\ncat|dog", "holds |"},
		"control":       {`["a\nb"]`, "control characters"},
		"no UTF-8":      {"caf\xe9", "no UTF-8"},
		"too many":      {strings.Repeat("a\n", maxSize+1), "more than 65536"},
		"too long":      {strings.Repeat("a", maxLabels+1), "more than 8388608 bytes"},
		"number":        {`[1]`, "want a string"},
		"cut":           {`["cat"`, "EOF"},
		"more":          {`["cat"]["dog"]`, "after the end"},
		"gap":           {`{"0":"a","5":"x"}`, "2 classes, but none has number 1"},
		"negative":      {`{"-1":"x"}`, "no class number"},
		"other writing": {`{"0":"a","00":"b"}`, "no class number"},
		"key twice":     {`{"0":"a","0":"b"}`, "comes twice"},
		"huge key":      {fmt.Sprintf(`{"%d":"a"}`, math.MaxInt), "none has number 0"},
		"three parts":   {`{"0":["n01440764","tench","Tinca"]}`, "want ]"},
		"nested":        {`{"0":{"name":"a"}}`, "want a label"},
	} {
		l, err := ParseLabels([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || l.Names != nil {
			t.Errorf("%s: %.40v, error %v, want %q", name, l.Names, err, c.says)
		}
	}
}

func TestReadLabels(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "labels.txt")
	if err := os.WriteFile(path, []byte("cat\ndog\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := ReadLabels(path); err != nil || !slices.Equal(l.Names, []string{"cat", "dog"}) {
		t.Errorf("%v (%v)", l.Names, err)
	}
	if err := os.Truncate(path, maxLabels+1); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{path, dir, filepath.Join(dir, "none")} {
		if _, err := ReadLabels(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: error %v does not name it", bad, err)
		}
	}
}

// TestRealLabels reads the list of the 1000 ImageNet classes.
func TestRealLabels(t *testing.T) {
	l, err := ReadLabels(needs.Shared(t, "models", "imagenet1k_synsets.txt"))
	if err != nil || len(l.Names) != 1000 || len(l.Synsets) != 1000 {
		t.Fatalf("%d names, %d synsets (%v)", len(l.Names), len(l.Synsets), err)
	}
	if l.Synsets[0] != "n01440764" || !strings.HasPrefix(l.Names[0], "tench") || l.Synsets[999] != "n15075141" {
		t.Errorf("first %s %s, last %s", l.Synsets[0], l.Names[0], l.Synsets[999])
	}
}

func FuzzLabels(f *testing.F) {
	f.Add([]byte("n01440764 tench\nn01443537 goldfish"))
	f.Add([]byte(`["cat","dog"]`))
	f.Add([]byte(`{"1":"dog","0":["n01440764","tench"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLabels(data)
		if err != nil {
			return
		}
		if l.Synsets != nil && len(l.Synsets) != len(l.Names) {
			t.Fatalf("%d synsets for %d names", len(l.Synsets), len(l.Names))
		}
		// What is read is what a model file's metadata can carry.
		m, err := ParseManifest(Manifest{Classes: l.Names, Synsets: l.Synsets}.Encode())
		if err != nil || !slices.Equal(m.Classes, l.Names) || !slices.Equal(m.Synsets, l.Synsets) {
			t.Fatalf("%q comes back as %q (%v)", l.Names, m.Classes, err)
		}
	})
}
