package cameratest

import (
	"os/exec"
	"path/filepath"
	"testing"

	"dynvit/camera"
	"dynvit/internal/needs"
)

// Open opens a source that the test closes.
func Open(t testing.TB, s camera.Scheme, uri string, o camera.Options) camera.Source {
	t.Helper()
	source, err := camera.Schemes{s}.Open(uri, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return source
}

// FFmpeg is the path of the program; the test needs it.
func FFmpeg(t testing.TB) string {
	t.Helper()
	return needs.Program(t, "ffmpeg", "ffmpeg")
}

// Film makes a film of that name with ffmpeg, from one of its test sources.
func Film(t testing.TB, name, source string, more ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	args := append([]string{"-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source}, more...)
	if out, err := exec.Command(FFmpeg(t), append(args, path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	return path
}
