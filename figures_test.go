package dynvit_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"dynvit/internal/rendering"
)

var plainColour = regexp.MustCompile(`(?:stroke|fill)="#([0-9a-f]{6})"`)

// TestFigures: librsvg shows the pages' drawings on white paper with every colour that they name, none of them filled
// with black for a colour that it cannot read.
func TestFigures(t *testing.T) {
	files, err := filepath.Glob("docs/*.svg")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		svg, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		img := rendering.LibRSVG(t, svg)
		if black, white := rendering.Share(img, 0), rendering.Share(img, 0xffffff); black > 0.02 || white < 0.8 {
			t.Errorf("%s: %.1f %% black, %.1f %% white", file, 100*black, 100*white)
		}
		for _, m := range plainColour.FindAllSubmatch(svg, -1) {
			want, err := strconv.ParseUint(string(m[1]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			if rendering.Share(img, uint32(want)) == 0 {
				t.Errorf("%s: nothing of %06x", file, want)
			}
		}
	}
}
