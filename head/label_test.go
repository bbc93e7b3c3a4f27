package head

import (
	"strings"
	"testing"
)

// TestCheckLabel: a label is one line of what shows, and names one folder, no other.
func TestCheckLabel(t *testing.T) {
	for _, label := range []string{"open", "cat or neighbour's cat", "Tür offen", "n01440764", "a.b", "閉", strings.Repeat("x", 100), "-", "~", "con"} {
		if err := CheckLabel(label); err != nil {
			t.Error(err)
		}
	}
	for _, label := range []string{"", ".", "..", ".git", "a/b", `a\b`, "../x", "/etc", "a|b", " a", "a ", "a\nb", "a\x00b", "a\u202eb", "\xff", strings.Repeat("x", 101)} {
		err := CheckLabel(label)
		if err == nil {
			t.Errorf("%q is taken", label)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", label, err)
		}
	}
}
