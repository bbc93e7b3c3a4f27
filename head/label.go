package head

import (
	"fmt"
	"strings"

	"dynvit/printable"
)

// CheckLabel refuses what cannot be a class's name, and the name of its folder.
func CheckLabel(label string) error {
	switch {
	case label == "" || len(label) > 100:
		return fmt.Errorf("label %.40q: want 1 to 100 bytes", label)
	case strings.HasPrefix(label, ".") || strings.ContainsAny(label, `/\|`):
		return fmt.Errorf("label %q: want no . in front, and none of / \\ |", label)
	case label != strings.TrimSpace(label) || printable.Line(label) != label:
		return fmt.Errorf("label %q: want characters that show, and no spaces around them", label)
	}
	return nil
}
