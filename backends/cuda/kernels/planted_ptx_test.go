//go:build !purego

package kernels_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"dynvit/backends/cuda/kernels"
	"dynvit/backends/cuda/kernels/kerneltest"
)

// slip is a defect: one line of PTX that is replaced.
type slip struct {
	kernel, line, by string
	number           int // of the line in its family's text, from 0
}

var (
	entry = regexp.MustCompile(`\.visible \.entry (\w+)`)
	place = regexp.MustCompile(`^(\s+mov\.u32\s+%r\d+, )%ctaid\.[xyz];$`)
)

// slips are all that are planted in a family's text: a barrier that is missing, and blocks
// that take themselves for the first of their row or column.
func slips(text string) (list []slip) {
	kernel := ""
	for i, line := range strings.Split(text, "\n") {
		if m := entry.FindStringSubmatch(line); m != nil {
			kernel = m[1]
		}
		switch m := place.FindStringSubmatch(line); {
		case m != nil:
			list = append(list, slip{kernel, line, m[1] + "0;", i})
		case strings.Contains(line, "bar.sync") || strings.Contains(line, "bar.warp.sync"):
			list = append(list, slip{kernel, line, "", i})
		}
	}
	return list
}

func (d slip) plant(text string) string {
	lines := strings.Split(text, "\n")
	lines[d.number] = d.by
	return strings.Join(lines, "\n")
}

// how is what gave a slip away.
var how = regexp.MustCompile(`race|wait for ever|nobody wrote|behind the start|nothing is allocated`)

// TestPlantedInPTX: without any one of the newest target's barriers, and with any one block's
// number wrong, the interpreter finds a race, or another result is seen.
func TestPlantedInPTX(t *testing.T) {
	thorough(t)
	target := kernels.Targets()[len(kernels.Targets())-1]
	var mu sync.Mutex
	caught := map[string]int{}
	t.Run("families", func(t *testing.T) {
		for _, family := range kernels.Families() {
			t.Run(family, func(t *testing.T) {
				t.Parallel()
				text, cases, sound := string(target.PTX(family)), casesOf(family), interpret(t, target)
				for _, d := range slips(text) {
					err := firstSeen(t, sound, target, cases, d.plant(text))
					if err == nil {
						t.Errorf("%s, line %d without %q: nobody noticed", d.kernel, d.number+1, strings.TrimSpace(d.line))
						continue
					}
					by := how.FindString(err.Error())
					if by == "" {
						by = "another result"
					}
					mu.Lock()
					caught[by]++
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("caught: %v", caught)
	if caught["race"] == 0 || caught["another result"] == 0 {
		t.Error("want some of either kind")
	}
}

// firstSeen runs cases with a changed text in place of the sound one, till one fails. That one comes first
// afterwards: the next line's slip is mostly of the same kernel.
func firstSeen(t *testing.T, sound *interpreter, target kernels.Target, cases []kerneltest.Case, text string) error {
	t.Helper()
	p := &interpreter{kernels: maps.Clone(sound.kernels)}
	p.load(t, text)
	for i, c := range cases {
		if err := c.Check(p, target); err != nil {
			copy(cases[1:], cases[:i])
			cases[0] = c
			return err
		}
	}
	return nil
}

// casesOf returns those that hold a family's kernels.
func casesOf(family string) []kerneltest.Case {
	return slices.DeleteFunc(kerneltest.Cases(), func(c kerneltest.Case) bool { return !strings.HasPrefix(c.Name, family+"/") })
}
