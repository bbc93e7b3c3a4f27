package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// entries are the names in a folder.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	for _, s := range []string{"first", "second, longer"} {
		if err := Write(path, text(s)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != s {
			t.Errorf("found %q, %v, want %q", got, err, s)
		}
	}
	if names := entries(t, dir); len(names) != 1 {
		t.Errorf("left %v", names)
	}
}

// TestFailureLeavesTheOldFile: an emitter that fails half way changes nothing.
func TestFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no ink")
	err := Write(path, func(w io.Writer) error {
		io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name the cause and %s", err, path)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" || len(entries(t, dir)) != 1 {
		t.Errorf("found %q in %v", got, entries(t, dir))
	}
}

// TestLinkIsFollowed: the file that a link points to is replaced, not the link.
func TestLinkIsFollowed(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(real, nil, 0o600), os.Symlink("real", link), Write(link, text("new"))); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info.Mode(), err)
	}
	if got, _ := os.ReadFile(real); string(got) != "new" {
		t.Errorf("found %q", got)
	}
}

// TestModes: a new file has what the umask leaves, as the shell's would; an old
// one keeps its own.
func TestModes(t *testing.T) {
	for _, c := range []struct {
		umask     int
		old, want os.FileMode // old 0: there is none
	}{{0o022, 0, 0o644}, {0o077, 0, 0o600}, {0o002, 0, 0o664}, {0, 0, 0o666}, {0o077, 0o664, 0o664}, {0o022, 0o600, 0o600}, {0, 0o640, 0o640}} {
		path := filepath.Join(t.TempDir(), "a.txt")
		if c.old != 0 {
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, c.old)); err != nil {
				t.Fatal(err)
			}
		}
		before := syscall.Umask(c.umask)
		err := Write(path, text("x"))
		syscall.Umask(before)
		if info, e := os.Stat(path); err != nil || e != nil || info.Mode().Perm() != c.want {
			t.Errorf("umask %o, old %o: %v, %v, mode %o, want %o", c.umask, c.old, err, e, info.Mode().Perm(), c.want)
		}
	}
}

// TestDanglingLinkIsFollowed: the file that it names is made, not one in the
// link's place; .. in a link is of the folder in which the kernel finds it.
func TestDanglingLinkIsFollowed(t *testing.T) {
	for name, links := range map[string][]string{ // where each leads, the first one written to
		"one":      {"made"},
		"two":      {"1", "made"},
		"absolute": {"$DIR/sub/made"},
		"up":       {"folder/../made"}, // folder is a link to sub/deep: the kernel's .. is sub
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := errors.Join(os.MkdirAll(filepath.Join(dir, "sub", "deep"), 0o700), os.Symlink("sub/deep", filepath.Join(dir, "folder")))
			for i, to := range links {
				err = errors.Join(err, os.Symlink(strings.Replace(to, "$DIR", dir, 1), filepath.Join(dir, strconv.Itoa(i))))
			}
			if err := errors.Join(err, Write(dir+"/0", text("new"))); err != nil {
				t.Fatal(err)
			}
			// The kernel follows the link now that there is something at its end.
			if got, err := os.ReadFile(dir + "/0"); err != nil || string(got) != "new" {
				t.Errorf("found %q, %v", got, err)
			}
			if info, err := os.Lstat(dir + "/0"); err != nil || info.Mode()&os.ModeSymlink == 0 {
				t.Errorf("the link became %v, %v", info.Mode(), err)
			}
		})
	}
	dir := t.TempDir()
	if err := errors.Join(os.Symlink("b", dir+"/a"), os.Symlink("a", dir+"/b")); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir+"/a", text("x")); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("links in a circle: %v", err)
	}
}

// TestRefuses what is no regular file, without touching it.
func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir:                               "is a directory",
		os.DevNull:                        "not a regular file",
		filepath.Join(dir, "no", "a.txt"): "no such file or directory",
	} {
		err := Write(path, text("x"))
		if err == nil || err.Error() != "write "+path+": "+want {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s is %v, %v", os.DevNull, info.Mode(), err)
	}
	if names := entries(t, dir); len(names) != 0 {
		t.Errorf("left %v", names)
	}
}
