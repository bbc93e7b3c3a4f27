// Package encodings holds the instructions that files of assembly give as numbers, since
// Go's assembler does not know them, to what they say in a comment that they are.
package encodings

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dynvit/internal/needs"
)

// Disassembler is GNU objdump for an architecture.
type Disassembler struct {
	program   string
	pkg       string // Debian's
	files     string // of assembly
	arguments []string
	directive string
	// instruction is one line of directives and the comment that says what they are.
	instruction *regexp.Regexp
}

// The architectures that kernels are written for.
var (
	AMD64 = Disassembler{
		"objdump", "binutils", "*_amd64.s", []string{"-m", "i386:x86-64", "-M", "intel"}, "BYTE",
		regexp.MustCompile(`^\t((?:BYTE \$0x[0-9a-f]{2}(?:; )?)+) // (.+)$`),
	}
	ARM64 = Disassembler{
		"aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu", "*_arm64.s", []string{"-m", "aarch64"}, "WORD",
		regexp.MustCompile(`^\t(WORD \$0x[0-9a-f]{8}) // (.+)$`),
	}
)

// Check has GNU objdump disassemble the instructions that the folder's files of assembly give
// as bytes or words, and compares with their comments. want is the least number of them by
// file, of all files that have any.
func Check(t *testing.T, d Disassembler, want map[string]int) {
	t.Helper()
	objdump := needs.Program(t, d.program, d.pkg)
	files, err := filepath.Glob(d.files)
	if err != nil {
		t.Fatal(err)
	}
	for file := range want {
		if !slices.Contains(files, file) {
			t.Errorf("%s is missing", file)
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code, comments := d.coded(string(text))
		given, least := strings.Count(string(text), "\n\t"+d.directive+" "), want[file]
		if given > 0 && least == 0 {
			t.Errorf("%s gives %d instructions in %ss and is not listed", file, given, d.directive)
		}
		if len(comments) != given || given < least {
			t.Fatalf("%s: %d instructions in %ss have a comment, of %d; want all, and at least %d", file, len(comments), d.directive, given, least)
		}
		if given > 0 {
			d.compare(t, objdump, file, code, comments)
		}
	}
}

// compare has code disassembled, which is what comments says.
func (d *Disassembler) compare(t *testing.T, objdump, file string, code []byte, comments []string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(binary, code, 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := slices.Concat([]string{"-D", "-b", "binary", "--no-show-raw-insn"}, d.arguments, []string{binary})
	out, err := exec.Command(objdump, arguments...).CombinedOutput()
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

// coded is the instructions that a file gives as directives, the lowest byte of each first,
// and their comments.
func (d *Disassembler) coded(text string) (code []byte, comments []string) {
	for line := range strings.Lines(text) {
		m := d.instruction.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		for _, digits := range regexp.MustCompile(`0x[0-9a-f]+`).FindAllString(m[1], -1) {
			v, _ := strconv.ParseUint(digits, 0, 32)
			for range len(digits)/2 - 1 {
				code = append(code, byte(v))
				v >>= 8
			}
		}
		comments = append(comments, m[2])
	}
	return code, comments
}
