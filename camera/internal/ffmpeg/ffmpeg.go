// Package ffmpeg is what schemes that decode video ask of an ffmpeg child: raw
// pixels, each picture as a PPM, which is pixels behind a header of a few bytes
// with their size. So the size need not be known before, is right for films that
// are turned or have oblong pixels, and may change.
package ffmpeg

import (
	"errors"
	"fmt"
	"os/exec"
)

// Find is the path of the program.
func Find() (string, error) {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return "", errors.New("ffmpeg not found: install the ffmpeg package")
	}
	return path, nil
}

// Output are the arguments that make it filter the pictures and write them to its
// standard output, for ReadPPM. -vsync is -fps_mode's old name, the one that
// ffmpeg 4.4 (JetPack 6) knows.
func Output(filters string) []string {
	return []string{"-vf", filters, "-pix_fmt", "rgb24", "-vsync", "passthrough", "-c:v", "ppm", "-f", "image2pipe", "pipe:1"}
}

// Scale is a filter that makes pixels square and brings the short side down to so
// many pixels, never up; 0 leaves the size alone.
func Scale(shortSide int) string {
	if shortSide <= 0 {
		return `scale=w=max(1\,round(iw*sar)):h=ih`
	}
	k := fmt.Sprintf(`min(1\,%d/min(iw*sar\,ih))`, shortSide)
	return fmt.Sprintf(`scale=w=max(1\,round(iw*sar*%s)):h=max(1\,round(ih*%s))`, k, k)
}
