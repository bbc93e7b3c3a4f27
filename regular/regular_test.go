package regular_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"dynvit/regular"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for link, to := range map[string]string{"link": "file", "link to a pipe": "pipe", "dangling": "nothing", "circle": "circle"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]error{
		at("file"):           nil,
		at("link"):           nil,
		at("pipe"):           regular.ErrIrregular,
		at("link to a pipe"): regular.ErrIrregular,
		at("socket"):         regular.ErrIrregular,
		"/dev/null":          regular.ErrIrregular,
		"/dev/zero":          regular.ErrIrregular,
		dir:                  syscall.EISDIR,
		at("dangling"):       fs.ErrNotExist,
		at("nothing"):        fs.ErrNotExist,
		at("circle"):         syscall.ELOOP,
		at("file") + "/x":    syscall.ENOTDIR,
	} {
		data, err := regular.Read(path, 7)
		var named *fs.PathError
		if !errors.Is(err, want) || want != nil && (!errors.As(err, &named) || named.Path != path) || (err == nil) != (string(data) == "content") {
			t.Errorf("%s: %q, %v, want %v", path, data, err, want)
		}
	}
	if _, err := regular.Read(at("file"), 6); err == nil || !strings.Contains(err.Error(), "more than 6 bytes") {
		t.Errorf("too large: %v", err)
	}
}
