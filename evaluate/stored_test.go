package evaluate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadStored(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stored.json")
	read := func(text, folder string) (Stored, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return ReadStored(path, folder)
	}
	s, err := read(`{"logits": {"b.png": [1, 2], "/a.png": [3, 4]}, "labels": ["x", "y"], "more": {}}`, "")
	if err != nil || !slices.Equal(s.Pictures, []string{"/a.png", dir + "/b.png"}) || s.Logits["/a.png"][1] != 4 || s.Turned || len(s.Labels) != 2 {
		t.Errorf("an object: %+v, %v", s, err)
	}
	s, err = read("{\"image\":\"z.jpg\",\"logits\":[1]}\n{\"image\":\"a.jpg\",\"logits\":[2]}\n", "")
	if err != nil || !slices.Equal(s.Pictures, []string{"z.jpg", "a.jpg"}) || !s.Turned {
		t.Errorf("classify's lines: %+v, %v", s, err)
	}
	if s, err = read(`{"image":"z.jpg","logits":[1]}`, "/pics"); err != nil || s.Pictures[0] != "/pics/z.jpg" {
		t.Errorf("in a folder: %+v, %v", s, err)
	}
	for _, bad := range []string{"", "{", "{}", `{"logits":[1]}`, `{"logits":{"a":["x"]}}`, `{"image":"a","logits":{"b":[1]}}`, `{"logits":{}}`, "[]", `{"logits":{"a":[1e999]}}`} {
		if _, err := read(bad, ""); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestDifference: in shares of the largest stored logit; ties go to the first class.
func TestDifference(t *testing.T) {
	for _, c := range []struct {
		got, want   []float32
		class, best int
		share       float64
	}{
		{[]float32{1, -4, 2}, []float32{1, -4, 2}, 2, 2, 0},
		{[]float32{1, -4, 2}, []float32{3, -4, 2}, 2, 0, 0.5},
		{[]float32{0, 0}, []float32{0, 0}, 0, 0, 0},
	} {
		d := difference("p", c.got, c.want)
		if d.Class != c.class || d.Want != c.best || d.Share != c.share {
			t.Errorf("%v against %v: %+v", c.got, c.want, d)
		}
	}
}
