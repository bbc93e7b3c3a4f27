package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// instruction is one line of BYTEs and the comment that says what they are.
var instruction = regexp.MustCompile(`^\t((?:BYTE \$0x[0-9a-f]{2}(?:; )?)+) // (.+)$`)

// Encodings has GNU objdump disassemble the instructions that a file of assembly
// gives as bytes, and compares with their comments. want is the least number of
// them.
func Encodings(t *testing.T, file string, want int) {
	t.Helper()
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		if os.Getenv("DYNVIT_REQUIRE") != "" {
			t.Fatal("objdump is missing: install the Debian package binutils")
		}
		t.Skip("needs the Debian package binutils")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	var comments []string
	for line := range strings.Lines(string(text)) {
		m := instruction.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		for _, b := range regexp.MustCompile(`0x[0-9a-f]{2}`).FindAllString(m[1], -1) {
			v, _ := strconv.ParseUint(b, 0, 8)
			code = append(code, byte(v))
		}
		comments = append(comments, m[2])
	}
	if strings.Count(string(text), "BYTE") == 0 || len(comments) < want {
		t.Fatalf("%s: %d instructions in bytes, want at least %d", file, len(comments), want)
	}
	binary := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(binary, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn", binary).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := regexp.MustCompile(`(?m)^ +[0-9a-f]+:\t(.+?)\s*$`).FindAllStringSubmatch(string(out), -1)
	if len(got) != len(comments) {
		t.Fatalf("%s: %d instructions disassembled, want %d", file, len(got), len(comments))
	}
	for i, m := range got {
		if is := strings.Join(strings.Fields(m[1]), " "); is != comments[i] {
			t.Errorf("%s: instruction %d is %q, want %q", file, i, is, comments[i])
		}
	}
}

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
