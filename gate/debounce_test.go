package gate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dynvit/config"
)

// TestJudge shows frames as class and percent; a change is written as the frame's
// number, the classes before and after, and the number of the frame since which.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		stable int
		wanted []bool
		frames string
		want   string
	}{
		{"at once", 1, nil, "0:90 1:90 1:90 0:90", "1:-1>0@1 2:0>1@2 4:1>0@4"},
		{"three in a row", 3, nil, "0:90 0:90 0:90 0:90", "3:-1>0@1"},
		{"interrupted", 3, nil, "0:90 0:90 1:90 0:90 0:90 0:90", "6:-1>0@4"},
		{"never stable", 2, nil, "0:90 1:90 0:90 1:90", ""},
		{"back to what holds", 2, nil, "0:90 0:90 1:90 0:90 0:90", "2:-1>0@1"},
		{"exactly the least score", 1, nil, "0:30", "1:-1>0@1"},
		{"below it is none", 2, nil, "0:90 0:90 0:29 0:29", "2:-1>0@1 4:0>-1@3"},
		{"none at first is no change", 2, nil, "0:10 0:10 0:10", ""},
		{"none in between", 2, nil, "0:90 0:90 1:10 0:90 1:10 1:10", "2:-1>0@1 6:0>-1@5"},
		{"not wanted is none", 1, []bool{false, true}, "1:90 0:90 1:90", "1:-1>1@1 2:1>-1@2 3:-1>1@3"},
		{"no classes at all", 1, nil, "-1:0 0:90", "2:-1>0@2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := config.DefaultCamera()
			config.Stable = c.stable
			j := NewDebounce(config, c.wanted)
			begin := time.Now()
			var changes []string
			for i, frame := range strings.Fields(c.frames) {
				var class, percent int
				if _, err := fmt.Sscanf(frame, "%d:%d", &class, &percent); err != nil {
					t.Fatal(err)
				}
				change, changed := j.See(j.Class(class, float32(percent)/100), begin.Add(time.Duration(i+1)))
				if changed {
					changes = append(changes, fmt.Sprintf("%d:%d>%d@%d", i+1, change.Previous, j.holds, change.Since.Sub(begin)))
				}
			}
			if got := strings.Join(changes, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
