package capture

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/preprocess"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 123e6, time.UTC)

func add(t *testing.T, f *Folder, cam, label string, at time.Time, n int) (name string, dropped int) {
	t.Helper()
	name, dropped, err := f.Add(cam, label, at, bytes.Repeat([]byte{1}, n))
	if err != nil {
		t.Fatal(err)
	}
	return name, dropped
}

func names(t *testing.T, f *Folder, cam string) string {
	t.Helper()
	list, _, err := f.List(cam)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range list {
		all = append(all, p.Label+"/"+p.Name)
	}
	return strings.Join(all, " ")
}

// TestFolder: pictures are kept by their time, of one moment beside each other, and
// can be read, moved and removed.
func TestFolder(t *testing.T) {
	f := New(filepath.Join(t.TempDir(), "teach"), 1000)
	if list, labels, err := f.List("door"); err != nil || list != nil || labels != nil {
		t.Errorf("of nothing: %v %v %v", list, labels, err)
	}
	add(t, f, "door", "open", noon, 3)
	add(t, f, "door", "open", noon, 4)
	add(t, f, "door", "shut", noon.Add(time.Second), 5)
	add(t, f, "yard", "cat", noon, 6)
	const first, second, third = "20261129T120000.123Z.jpg", "20261129T120000.123Z-2.jpg", "20261129T120001.123Z.jpg"
	if got, want := names(t, f, "door"), "open/"+second+" open/"+first+" shut/"+third; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p := Picture{Camera: "door", Label: "open", Name: second}
	if data, err := f.Read(p); err != nil || len(data) != 4 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if err := f.Move(p, "shut"); err != nil {
		t.Error(err)
	}
	p.Label = "shut"
	if err := f.Remove(Picture{Camera: "door", Label: "open", Name: first}); err != nil {
		t.Error(err)
	}
	if got, want := names(t, f, "door"), "shut/"+second+" shut/"+third; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, labels, err := f.List("door"); err != nil || !slices.Equal(labels, []string{"open", "shut"}) {
		t.Errorf("labels %v, %v", labels, err)
	}
	if data, err := f.Read(p); err != nil || len(data) != 4 {
		t.Errorf("moved: %d bytes, %v", len(data), err)
	}
	if err := f.Remove(Picture{Camera: "door", Label: "open", Name: first}); err == nil {
		t.Error("one that is gone is removed")
	}
}

// TestBounds: the oldest of the label that has most make room, and are counted; what is
// there from before counts too, and other cameras have room of their own.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	f := New(dir, 100)
	for i := range 4 {
		add(t, f, "door", "open", noon.Add(time.Duration(i)*time.Second), 20)
	}
	add(t, f, "door", "shut", noon, 20)
	f = New(dir, 100) // another run
	if _, dropped := add(t, f, "door", "shut", noon.Add(time.Minute), 30); dropped != 2 {
		t.Errorf("%d dropped, want 2", dropped)
	}
	if got, want := names(t, f, "door"), "shut/20261129T120000.123Z.jpg open/20261129T120002.123Z.jpg open/20261129T120003.123Z.jpg shut/20261129T120100.123Z.jpg"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, dropped := add(t, f, "yard", "cat", noon, 100); dropped != 0 {
		t.Errorf("%d of another camera dropped", dropped)
	}
	if _, _, err := f.Add("door", "shut", noon, make([]byte, 101)); err == nil {
		t.Error("one beyond all room is kept")
	}
	for i := range mostLabels - 2 {
		add(t, f, "door", fmt.Sprint("l", i), noon, 0)
	}
	if _, _, err := f.Add("door", "one more", noon, nil); err == nil {
		t.Error("labels without end")
	}
}

// TestNames: what comes from outside names nothing beyond the folder, by no way.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	f := New(filepath.Join(dir, "teach"), 1000)
	outside := filepath.Join(dir, "secret.jpg")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	name, _ := add(t, f, "door", "open", noon, 3)
	for _, n := range []int{1, 100, 101, 102} {
		if long := strings.Repeat("x", n); isPicture(long+".jpg") != (n <= 101) || (check(long, "open") == nil) != (n <= 100) {
			t.Errorf("names of %d letters: a picture's %v, a camera's %v", n, isPicture(long+".jpg"), check(long, "open") == nil)
		}
	}
	for _, bad := range []string{"", ".", "..", "../door", "a/b", "/etc", "a\x00", "a\nb", ".hidden", strings.Repeat("x", 200), "ä/..", `a\b`} {
		if _, _, err := f.Add(bad, "open", noon, nil); err == nil {
			t.Errorf("camera %q is taken", bad)
		}
		if _, _, err := f.Add("door", bad, noon, nil); err == nil {
			t.Errorf("label %q is taken", bad)
		}
		for _, p := range []Picture{{Camera: bad, Label: "open", Name: name}, {Camera: "door", Label: bad, Name: name}, {Camera: "door", Label: "open", Name: bad}, {Camera: "door", Label: "open", Name: "../" + bad + ".jpg"}} {
			if _, err := f.Read(p); err == nil {
				t.Errorf("%+v is read", p)
			}
			if f.Remove(p) == nil || f.Move(p, "x") == nil {
				t.Errorf("%+v is removed or moved", p)
			}
		}
		if f.Move(Picture{Camera: "door", Label: "open", Name: name}, bad) == nil {
			t.Errorf("moved to %q", bad)
		}
		if _, err := f.Path(bad); err == nil {
			t.Errorf("path of %q", bad)
		}
	}
	// Links lead nowhere.
	for link, target := range map[string]string{"teach/door/out": dir, "teach/door/open/link.jpg": outside, "teach/gate": dir} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := f.Add("door", "out", noon, nil); err == nil {
		t.Error("a linked label is written to")
	}
	if _, _, err := f.Add("gate", "open", noon, nil); err == nil {
		t.Error("a linked camera is written to")
	}
	if _, err := f.Read(Picture{Camera: "door", Label: "open", Name: "link.jpg"}); err == nil {
		t.Error("a linked picture is read")
	}
	if got := names(t, f, "door"); got != "open/"+name {
		t.Errorf("%s is listed", got)
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "secret" {
		t.Error("outside was touched", err)
	}
	if list, err := filepath.Glob(filepath.Join(dir, "*.jpg")); err != nil || len(list) != 1 {
		t.Errorf("outside: %v, %v", list, err)
	}
}

// TestTogether: cameras and a page may do at once what they like.
func TestTogether(t *testing.T) {
	f := New(t.TempDir(), 1000)
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for range 20 {
				if _, _, err := f.Add("door", fmt.Sprint("l", i%2), noon, make([]byte, 50)); err != nil {
					t.Error(err)
				}
				if _, _, err := f.List("door"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	list, _, err := f.List("door")
	if err != nil || len(list) != 20 {
		t.Errorf("%d pictures, %v", len(list), err)
	}
}

// TestJPEG: a whole JPEG stays as it is; a region is cut out.
func TestJPEG(t *testing.T) {
	data, err := os.ReadFile("../preprocess/testdata/drawn_420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	f := &camera.Frame{Format: camera.JPEG, Data: data}
	whole, err := JPEG(f, preprocess.Whole)
	if err != nil || !bytes.Equal(whole, data) {
		t.Errorf("%d bytes of %d, %v", len(whole), len(data), err)
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	part, err := JPEG(f, preprocess.Region{X0: 0.5, Y0: 0, X1: 1, Y1: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	got, err := jpeg.DecodeConfig(bytes.NewReader(part))
	if err != nil || got.Width != (c.Width+1)/2 && got.Width != c.Width/2 || got.Height != (c.Height+1)/2 && got.Height != c.Height/2 {
		t.Errorf("%d×%d of %d×%d, %v", got.Width, got.Height, c.Width, c.Height, err)
	}
	if _, err := JPEG(&camera.Frame{Format: camera.JPEG, Data: []byte("no")}, preprocess.Region{X1: 0.5, Y1: 1}); err == nil {
		t.Error("no error of a damaged frame")
	}
}
