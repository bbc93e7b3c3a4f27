//go:build cuda

package cuda

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"dynvit/backends"
	"dynvit/backends/cuda/driver"
	"dynvit/backends/cuda/kernels/emulate"
	"dynvit/internal/needs"
)

// profiles are the devices that the fake driver stands for, one for each target and the
// newest.
var profiles = []string{"nano", "xavier", "orin", "h100"}

var building struct {
	once sync.Once
	dir  string
	err  error
}

// fakeDriver has the fake driver be a device, built by g++ where FAKECUDA does not name
// a folder that has it, and returns its library.
func fakeDriver(t testing.TB, profile string) string {
	t.Helper()
	needs.Program(t, "g++", "g++")
	emulate.NoteInputs(t, "fake", "kernels", "kernels/emulate/cxx")
	building.once.Do(func() { building.dir, building.err = buildFake() })
	if building.err != nil {
		t.Fatal(building.err)
	}
	for name, value := range map[string]string{
		"FAKECUDA_KERNELS": building.dir, "FAKECUDA_DEVICE": profile, "FAKECUDA_FAIL": "", "FAKECUDA_TRACE": "", "FAKECUDA_MEMORY": "",
	} {
		t.Setenv(name, value)
	}
	return filepath.Join(building.dir, driver.Library)
}

// buildFake uses the header that this test was compiled with.
func buildFake() (string, error) {
	if dir := os.Getenv("FAKECUDA"); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "fakecuda")
	if err != nil {
		return "", err
	}
	include := ""
	for _, flag := range strings.Fields(os.Getenv("CGO_CFLAGS")) {
		if at, ok := strings.CutPrefix(flag, "-I"); ok {
			include = at
		}
	}
	c := exec.Command("fake/build", dir, include)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	return dir, c.Run()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if building.dir != "" && building.dir != os.Getenv("FAKECUDA") {
		os.RemoveAll(building.dir)
	}
	os.Exit(code)
}

// openFake opens the backend on a fake device.
func openFake(t testing.TB, profile string) func(backends.Options) (backends.Backend, error) {
	library := fakeDriver(t, profile)
	return func(backends.Options) (backends.Backend, error) { return open(library) }
}
