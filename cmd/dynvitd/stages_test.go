package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/modelfile"
	"dynvit/vit"
)

// mergeable is the file of a model of random weights of eight blocks and 64 patches.
func mergeable(t *testing.T) string {
	t.Helper()
	c := vit.Config{Architecture: "vit", ImageSize: 32, PatchSize: 4, Width: 32, Depth: 8, Heads: 2, Hidden: 64, Classes: 9, Eps: 1e-6, SkipLam: 1,
		QKVBias: true, Resize: 32, Interpolation: "bicubic", Std: [3]float32{1, 1, 1}, PruneAt: []int{1, 2, 3}}
	return randomModel(t, "mergeable", vit.Random{Config: c, Seed: 4}, nil)
}

// speckled is a folder of pictures of coloured squares.
func speckled(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		img, random := image.NewRGBA(image.Rect(0, 0, 32, 32)), rand.New(rand.NewPCG(1, uint64(i)))
		for y := range 4 {
			for x := range 4 {
				colour := [4]byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), 255}
				for p := range 64 {
					copy(img.Pix[img.PixOffset(8*x+p%8, 8*y+p/8):], colour[:])
				}
			}
		}
		var data bytes.Buffer
		if err := png.Encode(&data, img); err != nil {
			t.Fatal(err)
		}
		write(t, dir, fmt.Sprintf("%02d.png", i), data.String())
	}
	return dir
}

// TestCalibrateStages: what is found stands in the model's file, and is where each command merges
// from then on, at as much work; the second time the same is found and nothing written.
func TestCalibrateStages(t *testing.T) {
	model, pictures := mergeable(t), speckled(t, 40)
	args := []string{"calibrate", "--stages", "--model", model, "--data", pictures, "--backend", "portable", "--keep", "0.7", "--keep", "0.5"}
	stdout, stderr, code := outcome(t, dynvitd(t, append(args, "--json")...))
	var found foundStages
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || code != 0 || stderr != "" {
		t.Fatalf("exit %d, %q, %v", code, stderr, err)
	}
	best := found.Best
	if slices.Equal(best.Stages, []int{1, 2, 3}) || !(best.Change < 0) || found.Written != model || found.Model != "mergeable" || len(best.Points) != 2 || best.Frames != 30 {
		t.Fatalf("found %+v of %s, written to %q", best, found.Model, found.Written)
	}
	f, err := modelfile.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Meta["merge_at"]; got != modelfile.FormatBlocks(best.Stages) || f.Meta["prune_at"] != "1,2,3" {
		t.Errorf("the file says %v", f.Meta)
	}
	f.Close()

	before, _ := os.ReadFile(model)
	stdout, stderr, code = outcome(t, dynvitd(t, args...))
	if after, _ := os.ReadFile(model); code != 0 || stderr != "" || !bytes.Equal(before, after) || !strings.Contains(stdout, "says so already: merge at "+modelfile.FormatBlocks(best.Stages)) {
		t.Errorf("exit %d, %q; another file: %v; %s", code, stderr, !bytes.Equal(before, after), stdout)
	}

	picture := filepath.Join(pictures, "00.png")
	for _, c := range []struct {
		args   []string
		stages []int
	}{
		{[]string{"classify", "--keep", "0.5", "--kept", picture}, best.Stages},
		{[]string{"eval", "--keep", "0.5", "--data", pictures, "--scorer", "merge"}, best.Stages},
		{[]string{"visualize", "--keep", "0.5", picture, "-o", filepath.Join(t.TempDir(), "o.png")}, best.Stages},
		{[]string{"eval", "--keep", "0.5", "--data", pictures, "--scorer", "attention"}, []int{1, 2, 3}},
	} {
		stdout, stderr, code := outcome(t, dynvitd(t, append(c.args, "--model", model, "--json")...))
		var got struct {
			Tokens []int
			Keep   float64 `json:"keep_ratio"`
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || len(got.Tokens) != len(c.stages)+1 || got.Keep != 0.5 {
			t.Errorf("%v: exit %d, %q, %+v, want %d stages (%v)", c.args, code, stderr, got, len(c.stages), err)
		}
	}
	if info, _, _ := outcome(t, dynvitd(t, "model", "info", model)); !strings.Contains(info, fmt.Sprintf("pruned at blocks %v, or where they are not merged [1 2 3],", best.Stages)) {
		t.Errorf("model info: %s", info)
	}
}

// TestCalibrateStagesInterrupted leaves the model as it is.
func TestCalibrateStagesInterrupted(t *testing.T) {
	model := mergeable(t)
	before, _ := os.ReadFile(model)
	p := start(t, dynvitd(t, "calibrate", "--stages", "--model", model, "--data", speckled(t, 200), "--backend", "ref", "-v"))
	p.await("sets of stages tried")
	p.Process.Signal(os.Interrupt)
	if code := p.end(); code != 1 {
		t.Errorf("exit %d\n%s", code, strings.Join(p.seen, "\n"))
	}
	if after, err := os.ReadFile(model); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the model is another, %v", err)
	}
	if few, _, code := outcome(t, dynvitd(t, "calibrate", "--stages", "--model", model, "--data", speckled(t, 31))); code != 1 || few != "" {
		t.Errorf("31 pictures: exit %d, %q", code, few)
	}
}
