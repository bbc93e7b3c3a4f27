package files_test

import (
	"bytes"
	"image"
	"image/png"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/files"
)

// open opens a source that the test closes.
func open(t testing.TB, uri string, o camera.Options) camera.Source {
	t.Helper()
	return cameratest.Open(t, files.Scheme(), uri, o)
}

// put writes files, by path, into a new folder.
func put(t *testing.T, contents map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	for name, data := range contents {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func stillPNG(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// names reads to the end and returns the files seen, relative to root.
func names(t *testing.T, s camera.Source, root string) []string {
	t.Helper()
	var seen []string
	var f camera.Frame
	for {
		err := s.Next(t.Context(), &f)
		if err == io.EOF {
			return seen
		}
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, name)
	}
}

func TestPicturesConform(t *testing.T) {
	p := cameratest.Still(t, 9)
	root := put(t, map[string][]byte{"a.jpg": p, "b.jpg": p})
	for _, path := range []string{root, filepath.Join(root, "a.jpg")} {
		cameratest.Conform(t, func(t *testing.T) camera.Source { return open(t, path+"?loop=1&fps=500", camera.Options{}) })
	}
	cameratest.ConformEnd(t, open(t, root+"?fps=0", camera.Options{}), 2)
	cameratest.ConformEnd(t, open(t, root+"/a.jpg?fps=0", camera.Options{}), 1)
}

func TestFolderIsSorted(t *testing.T) {
	p := cameratest.Still(t, 9)
	root := put(t, map[string][]byte{
		"b.JPEG": p, "a.jpg": p, "c/z.png": stillPNG(t), "c/d/y.JPG": p, "a.txt": p, ".hidden.jpg": p, ".git/x.jpg": p, "c.jpg": p, "e/readme": nil,
	})
	want := []string{"a.jpg", "b.JPEG", "c/d/y.JPG", "c/z.png", "c.jpg"}
	if got := names(t, open(t, root+"?fps=0", camera.Options{}), root); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFolderFormats(t *testing.T) {
	p, g := cameratest.Still(t, 9), stillPNG(t)
	root := put(t, map[string][]byte{"1.jpg": p, "2.png": g, "3.jpg": g, "4.png": []byte("junk"), "5.jpg": nil})
	s := open(t, root+"?fps=0", camera.Options{})
	var f camera.Frame
	for i, want := range []struct {
		format camera.Format
		data   []byte
	}{{camera.JPEG, p}, {camera.PNG, g}, {camera.PNG, g}, {camera.PNG, []byte("junk")}, {camera.JPEG, nil}} {
		if err := s.Next(t.Context(), &f); err != nil || f.Format != want.format || !bytes.Equal(f.Data, want.data) {
			t.Errorf("picture %d: %v, %v of %d bytes", i+1, err, f.Format, len(f.Data))
		}
	}
}

// TestFolderOfTelephones: pictures are found by any of their endings and told by their
// bytes: what a messenger names .jpg may be a WebP.
func TestFolderOfTelephones(t *testing.T) {
	saved := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("../../pictures/testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	webp, heic := saved("lossy.webp"), saved("420.heic")
	root := put(t, map[string][]byte{
		"a.jpg": webp, "b.HEIC": heic, "c.heif": saved("420.avif"), "d.tif": saved("rgb_raw.tif"), "e.bmp": saved("rgb.bmp"), "f.gif": saved("plain.gif"),
		"g.avif": []byte("junk"), "h.webp": webp, "i.png": heic, "j.hif": heic, "k.tiff": nil, "l.txt": webp,
	})
	s := open(t, root+"?fps=0", camera.Options{})
	var f camera.Frame
	for i, want := range []camera.Format{
		camera.WebP, camera.HEIC, camera.AVIF, camera.TIFF, camera.BMP, camera.GIF, camera.AVIF, camera.WebP, camera.HEIC, camera.HEIC, camera.TIFF,
	} {
		if err := s.Next(t.Context(), &f); err != nil || f.Format != want {
			t.Errorf("picture %d: %v, %v, want %v", i, err, f.Format, want)
		}
	}
	if err := s.Next(t.Context(), &f); err != io.EOF {
		t.Errorf("one more: %s, %v", f.Name, err)
	}
}

func TestFolderIsListedAnew(t *testing.T) {
	p := cameratest.Still(t, 9)
	root := put(t, map[string][]byte{"a.jpg": p, "b.jpg": p, "c.jpg": p})
	s := open(t, root+"?fps=0&loop=1", camera.Options{})
	var f camera.Frame
	next := func(want string) {
		t.Helper()
		if err := s.Next(t.Context(), &f); err != nil || filepath.Base(f.Name) != want {
			t.Fatalf("%s, %v, want %s", f.Name, err, want)
		}
	}
	remove := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Remove(filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	next("a.jpg")
	remove("b.jpg") // vanished after it was listed
	next("c.jpg")
	if f.Seq != 2 {
		t.Errorf("number %d, want 2", f.Seq)
	}
	if err := os.WriteFile(filepath.Join(root, "b2.jpg"), p, 0o644); err != nil {
		t.Fatal(err)
	}
	next("a.jpg")
	next("b2.jpg")
	remove("a.jpg", "b2.jpg", "c.jpg")
	if err := s.Next(t.Context(), &f); err == nil || !strings.Contains(err.Error(), "no pictures") {
		t.Errorf("empty folder: %v", err)
	}
}

// All pictures of a round gone is an error, not a loop without end.
func TestFolderThatVanishes(t *testing.T) {
	root := put(t, map[string][]byte{"a.jpg": cameratest.Still(t, 9)})
	s := open(t, root+"?fps=0&loop=1", camera.Options{})
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if err := s.Next(t.Context(), new(camera.Frame)); err == nil || !strings.Contains(err.Error(), "vanished") {
		t.Errorf("got %v", err)
	}
}

func TestPicturesKeepTime(t *testing.T) {
	p := cameratest.Still(t, 9)
	root := put(t, map[string][]byte{"a.jpg": p, "b.jpg": p, "c.jpg": p})
	for _, c := range []struct {
		options string
		want    time.Duration
	}{{"", 2 * time.Second}, {"?fps=4", 500 * time.Millisecond}, {"?fps=0", 0}} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, root+c.options, camera.Options{})
			start := time.Now()
			var f camera.Frame
			for range 3 {
				if err := s.Next(t.Context(), &f); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(start); took != c.want {
				t.Errorf("%q: three pictures took %v, want %v", c.options, took, c.want)
			}
		})
	}
}

func TestReadPicture(t *testing.T) {
	p := cameratest.Still(t, 9)
	root := put(t, map[string][]byte{"a.jpg": p, "b.jpg": []byte("letter"), "d.jpg/x": nil})
	large := filepath.Join(root, "c.jpg")
	if err := os.WriteFile(large, p, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 64<<20+1); err != nil { // sparse
		t.Fatal(err)
	}
	f := camera.Frame{Seq: 7, Width: 3, Data: make([]byte, 5, 4<<10)}
	if err := files.ReadPicture(&f, filepath.Join(root, "a.jpg")); err != nil || !bytes.Equal(f.Data, p) || f.Seq != 7 || f.Width != 0 || f.Format != camera.JPEG {
		t.Errorf("%v, %+v", err, f)
	}
	if cap(f.Data) != 4<<10 {
		t.Error("the frame's memory was not used")
	}
	for name, want := range map[string]string{"b.jpg": "no picture: want JPEG, PNG, WebP", "c.jpg": "more than 64 MiB", "d.jpg": "is a directory", "e.jpg": "no such file"} {
		path := filepath.Join(root, name)
		if err := files.ReadPicture(&f, path); err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	// In a folder, one that is too large comes empty, for the decoder to report.
	s := open(t, root+"?fps=0", camera.Options{})
	for _, want := range []int{len(p), 6, 0} {
		if err := s.Next(t.Context(), &f); err != nil || len(f.Data) != want {
			t.Errorf("%s: %d bytes, %v, want %d", f.Name, len(f.Data), err, want)
		}
	}
}

// A folder may be named by a link, also one inside it that is left out else.
func TestFolderByALink(t *testing.T) {
	root := put(t, map[string][]byte{"a/b.jpg": cameratest.Still(t, 9), "a/c/d.jpg": cameratest.Still(t, 9)})
	link := filepath.Join(root, "link")
	if err := os.Symlink(filepath.Join(root, "a"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, link + "/"} {
		if got := names(t, open(t, path+"?fps=0", camera.Options{}), link); !slices.Equal(got, []string{"b.jpg", "c/d.jpg"}) {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// A FIFO, a device and a folder that are named like pictures are passed over with one
// line each, however often they come by; nothing waits for who would write.
func TestIrregularPictures(t *testing.T) {
	root := put(t, map[string][]byte{"a.jpg": cameratest.Still(t, 9), "e.jpg": cameratest.Still(t, 9)})
	if err := syscall.Mkfifo(filepath.Join(root, "b.png"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"c.jpg": "/dev/zero", "d.png": root} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	s := open(t, root+"?fps=0&loop=1", camera.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	var f camera.Frame
	for i := range 6 {
		if err := s.Next(t.Context(), &f); err != nil || f.Seq != uint64(i+1) || filepath.Base(f.Name) != []string{"a.jpg", "e.jpg"}[i%2] {
			t.Fatalf("picture %d: %s, %v", i, f.Name, err)
		}
	}
	why := map[string]string{"b.png": ": not a regular file", "c.jpg": ": not a regular file", "d.png": ": is a directory"}
	for name, why := range why {
		if line := name + why; strings.Count(log.String(), line) != 1 {
			t.Errorf("%q is not in the log once:\n%s", line, log.String())
		}
	}
	for name, why := range why {
		path := filepath.Join(root, name)
		if err := files.ReadPicture(&f, path); err == nil || !strings.HasSuffix(err.Error(), path+why) {
			t.Errorf("%v", err)
		}
		if name == "d.png" {
			continue // is a folder of pictures
		}
		if _, err := (camera.Schemes{files.Scheme()}).Open(path, camera.Options{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("source %s: %v", name, err)
		}
	}
}
