package hosttest

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Heights holds the tiles that a kernel of a file of assembly has code for to the heights
// that Go code lists: another one would run as tiles of one row, right and slow.
func Heights(t *testing.T, file, kernel string, want []int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, body, found := strings.Cut(string(text), "\nTEXT ·"+kernel+"(SB)")
	body, _, _ = strings.Cut(body, "\nTEXT ")
	var got []int
	for _, m := range regexp.MustCompile(`(?m)^rows(\d+):$`).FindAllStringSubmatch(body, -1) {
		n, _ := strconv.Atoi(m[1])
		got = append(got, n)
	}
	if !found || !slices.Equal(got, want) {
		t.Errorf("%s: %s has tiles of %v rows, want %v", file, kernel, got, want)
	}
}
