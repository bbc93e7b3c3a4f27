package heif

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynvit/exif"
)

func fixtures(t testing.TB, kind string) []string {
	t.Helper()
	files, err := filepath.Glob("../testdata/*." + kind)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

func open(t testing.TB, file string) *Picture {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read := OpenHEIC
	if strings.HasSuffix(file, ".avif") {
		read = OpenAVIF
	}
	p, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMemory: decoding takes no more than is reckoned with, and no less than half of it of
// what is large, so that little is refused in vain.
func TestMemory(t *testing.T) {
	for _, file := range append(fixtures(t, "heic"), fixtures(t, "avif")...) {
		p := open(t, file)
		if _, err := p.Decode(); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		taken := int64(p.running.memory.taken)
		p.Close()
		if taken > p.Bytes || p.Width > 1000 && taken < p.Bytes/2 {
			t.Errorf("%s: takes %d KiB, foreseen are %d", file, taken>>10, p.Bytes>>10)
		}
	}
}

// TestMemoryIsBounded: a picture that asks for more gets none, and is refused by a line.
func TestMemoryIsBounded(t *testing.T) {
	for _, file := range []string{"../testdata/telephone.heic", "../testdata/web.avif"} {
		p := open(t, file)
		p.Bytes = 9 << 20
		if _, err := p.Decode(); err == nil || !strings.Contains(err.Error(), "takes more than the 9 MiB") {
			t.Errorf("%s: %v", file, err)
		}
		if p.running != nil {
			t.Errorf("%s: still runs", file)
		}
	}
}

// TestTurns: properties in any order of turning and mirroring, as libheif and Pillow
// read them.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		properties []property
		want       exif.Orientation
	}{
		{nil, 0},
		{[]property{{"irot", []byte{0}}}, 1},
		{[]property{{"irot", []byte{1}}}, 8},
		{[]property{{"irot", []byte{2}}}, 3},
		{[]property{{"irot", []byte{3}}}, 6},
		{[]property{{"imir", []byte{0}}}, 4},
		{[]property{{"imir", []byte{1}}}, 2},
		{[]property{{"irot", []byte{1}}, {"imir", []byte{0}}}, 5},
		{[]property{{"irot", []byte{1}}, {"imir", []byte{1}}}, 7},
		{[]property{{"irot", []byte{2}}, {"imir", []byte{0}}}, 2},
		{[]property{{"irot", []byte{3}}, {"imir", []byte{0}}}, 7},
		{[]property{{"irot", []byte{3}}, {"imir", []byte{1}}}, 5},
	} {
		var h header
		for _, p := range c.properties {
			h.read(p)
		}
		if h.turn != c.want {
			t.Errorf("%v: %d, want %d", c.properties, h.turn, c.want)
		}
	}
}

// FuzzBoxes: no bytes make the reader of boxes panic or take memory without bound.
func FuzzBoxes(f *testing.F) {
	for _, name := range []string{"tiles_3.heic", "alpha.avif", "444.heic"} {
		data, err := os.ReadFile(filepath.Join("../testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:min(len(data), 2048)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := OpenHEIC(data)
		if err == nil && (p.Width < 1 || p.Height < 1 || p.Bytes < int64(len(data))) {
			t.Errorf("%+v", p.header)
		}
	})
}

// FuzzDecode: nor do they make a decoder break out of its memory.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"exif_1.heic", "exif_1.avif"} {
		data, err := os.ReadFile(filepath.Join("../testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, strings.HasSuffix(name, "avif"))
	}
	libheif.once.Do(libheif.compile) // longer than an input may take
	libavif.once.Do(libavif.compile)
	f.Fuzz(func(t *testing.T, data []byte, avif bool) {
		read := OpenHEIC
		if avif {
			read = OpenAVIF
		}
		p, err := read(data)
		if err != nil || p.Bytes > 64<<20 {
			return
		}
		defer p.Close()
		rows, err := p.Decode()
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		row := make([]byte, 3*p.Width)
		for y := range p.Height {
			rows(row, 0, y)
		}
	})
}
