package tuning

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/machine"
)

// CalibrationFile is the calibration's name in the state folder.
const CalibrationFile = "calibration.json"

// Origin is what a calibration's figures hold for.
func Origin(info engine.Info, version string, root fs.FS) calibrate.Origin {
	box := machine.At(root).Fingerprint(runtime.GOMAXPROCS(0))
	if info.Device != "" {
		box.GPU = info.Device // with its driver, which has a say in the times
	}
	return calibrate.Origin{
		Program: version, Model: calibrate.Model{Name: info.Model, SHA256: info.SHA256}, Scorer: info.Scorer, Backend: info.Backend,
		Machine: box,
	}
}

// Group is what calibration calls an opened model.
func Group(info engine.Info) calibrate.Group {
	return calibrate.Group{Precision: info.Precision.String(), Threads: info.Threads}
}

// Keep writes a table, and makes its folder where there is none.
func Keep(t *calibrate.Table, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return t.WriteFile(path)
}

// Describe says what kind of frames were measured.
func Describe(f *camera.Frame) string {
	return fmt.Sprintf("%dx%d %v", f.Width, f.Height, f.Format)
}
