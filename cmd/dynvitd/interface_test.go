package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The tests of interface…_test.go hold docs/interface.md to the program: what the
// page names exists, and what exists is named.

// section is a part of the page: the text below one heading, up to the next of the
// same level or a higher one.
type section string

// page is the whole of docs/interface.md.
func page(t *testing.T) section {
	t.Helper()
	data, err := os.ReadFile("../../docs/interface.md")
	if err != nil {
		t.Fatal(err)
	}
	return section(data)
}

// below is the section under a heading, such as "## Sources".
func (s section) below(t *testing.T, heading string) section {
	t.Helper()
	_, rest, ok := strings.Cut(string(s), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/interface.md has no heading %q", heading)
	}
	level := strings.IndexByte(heading, ' ')
	end := regexp.MustCompile(`(?m)^#{1,` + strconv.Itoa(level) + `} `).FindStringIndex(rest)
	if end != nil {
		rest = rest[:end[0]]
	}
	return section(rest)
}

// rows are the cells of the section's tables whose first column is so called.
func (s section) rows(column string) [][]string {
	var list [][]string
	inside := false
	for line := range strings.Lines(string(s)) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case strings.HasPrefix(line, "| "+column+" |"):
			inside = true
		case inside && !strings.HasPrefix(line, "| ---"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			list = append(list, cells)
		}
	}
	return list
}

var code = regexp.MustCompile("`([^`]+)`")

// codes are a cell's words in backquotes.
func codes(cell string) []string {
	var words []string
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	return words
}

// firstCodes are the words in the first cells.
func firstCodes(rows [][]string) []string {
	var words []string
	for _, r := range rows {
		words = append(words, codes(r[0])...)
	}
	return words
}

// same compares what the page names with what exists, in any order.
func same(t *testing.T, what string, named, exist []string) {
	t.Helper()
	for _, n := range named {
		if !slices.Contains(exist, n) {
			t.Errorf("%s: the page names %q, which does not exist", what, n)
		}
	}
	for _, e := range exist {
		if !slices.Contains(named, e) {
			t.Errorf("%s: the page does not name %q", what, e)
		}
	}
	if sorted := slices.Sorted(slices.Values(named)); len(slices.Compact(sorted)) != len(named) {
		t.Errorf("%s: the page names one twice: %q", what, named)
	}
}

// working are the commands that do something by themselves, by their whole names.
func working() map[string]*cobra.Command {
	found := map[string]*cobra.Command{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.HasSubCommands() || len(flagsOf(c)) > 0 {
			found[c.CommandPath()] = c
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	return found
}

func flagsOf(c *cobra.Command) map[string]*pflag.Flag {
	found := map[string]*pflag.Flag{}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			found[f.Name] = f
		}
	})
	return found
}

func TestInterfaceCommands(t *testing.T) {
	var named []string
	for _, m := range regexp.MustCompile("(?m)^### `(dynvitd .*)`$").FindAllStringSubmatch(string(page(t)), -1) {
		named = append(named, m[1])
	}
	same(t, "commands", named, slices.Collect(maps.Keys(working())))
}

func TestInterfaceFlags(t *testing.T) {
	shared, everywhere := page(t).below(t, "### Flags that several commands share").rows("flag"), map[string]bool{}
	for name, c := range working() {
		rows, exist := page(t).below(t, "### `"+name+"`").rows("flag"), flagsOf(c)
		same(t, name, long(t, name, c, firstCodes(rows)), slices.Collect(maps.Keys(exist)))
		for flag := range exist {
			everywhere[flag] = true
		}
		for _, r := range rows {
			if flags := long(t, name, c, codes(r[0])); len(flags) == 1 && exist[flags[0]] != nil {
				checkDefault(t, name, exist[flags[0]], r[1])
			}
		}
	}
	for _, flag := range firstCodes(shared) {
		if flag != "-v" && !everywhere[strings.TrimPrefix(flag, "--")] {
			t.Errorf("no command has the shared flag %s", flag)
		}
	}
}

// long are the names of flags, those of one letter resolved: -o beside --output
// is one.
func long(t *testing.T, command string, c *cobra.Command, flags []string) []string {
	var names []string
	for _, word := range flags {
		name, ok := strings.CutPrefix(word, "--")
		if !ok {
			f := c.LocalFlags().ShorthandLookup(strings.TrimPrefix(word, "-"))
			if f == nil {
				t.Errorf("%s: the page names %s, which does not exist", command, word)
				continue
			}
			name = f.Name
			if slices.Contains(names, name) {
				continue
			}
		}
		names = append(names, name)
	}
	return names
}

// checkDefault holds a cell to a flag's default. One that depends on the machine,
// or that the command fills in, is told in words.
func checkDefault(t *testing.T, command string, f *pflag.Flag, cell string) {
	t.Helper()
	want := strings.Trim(f.DefValue, "[]")
	words := codes(cell)
	machine := command == "dynvitd bench" && f.Name == "threads"
	inWords := machine || slices.Contains([]string{"", "0", "0s", "false"}, want)
	switch {
	case inWords && len(words) == 0, inWords && !machine && want == "":
	case len(words) != 1 || words[0] != want:
		t.Errorf("%s: --%s: the page says default %q, the program %q", command, f.Name, cell, want)
	}
}

func TestInterfaceExitCodes(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var exist []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "exit") {
			exist = append(exist, v.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	same(t, "exit codes", firstCodes(page(t).below(t, "### Exit codes").rows("code")), exist)
}

// TestInterfaceEnvironment: the variables that set no key are those that the code
// reads.
func TestInterfaceEnvironment(t *testing.T) {
	reads := regexp.MustCompile(`[gG]etenv\("(\w+)"\)`)
	found := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		forTests := strings.HasSuffix(d.Name(), "test") || d.Name() == "needs" || d.Name() == "emulate"
		if d.IsDir() && (forTests || strings.HasPrefix(d.Name(), "_") || d.Name() == ".git" || d.Name() == "train" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, m := range reads.FindAllSubmatch(data, -1) {
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "environment", firstCodes(page(t).below(t, "## Files and environment").rows("variable")), slices.Collect(maps.Keys(found)))
}
