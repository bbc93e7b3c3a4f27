package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

// manuals are the pages and the sections of docs/interface.md that make them.
var manuals = []struct {
	name, section, about string
	parts                []string
}{
	{"dynvitd", "1", "classify what cameras see with a token-pruned vision transformer", []string{"Commands", "Files and environment"}},
	{"dynvit.yaml", "5", "configuration of dynvitd", []string{"Sources", "Configuration"}},
	{"dynvitd-interface", "7", "topics, payloads and pages of dynvitd", []string{"MQTT", "HTTP"}},
}

// manualPages renders docs/interface.md, which tests hold to the program, as
// manual pages, by their file names.
func manualPages(page, version, date string) (map[string][]byte, error) {
	parts := map[string]string{}
	for _, part := range strings.Split(page, "\n## ")[1:] {
		heading, text, _ := strings.Cut(part, "\n")
		parts[heading] = text
	}
	pages := map[string][]byte{}
	for _, m := range manuals {
		var b strings.Builder
		fmt.Fprintf(&b, "%% %q %q %q \"dynvit %s\" \"dynvit\"\n\n# NAME\n\n%s - %s\n", strings.ToUpper(m.name), m.section, date, version, m.name, m.about)
		for _, name := range m.parts {
			if parts[name] == "" {
				return nil, fmt.Errorf("docs/interface.md has no section %q for %s(%s)", name, m.name, m.section)
			}
			fmt.Fprintf(&b, "\n# %s\n%s\n", strings.ToUpper(name), forManual(parts[name]))
		}
		b.WriteString("\n# SEE ALSO\n\ndynvitd(1), dynvit.yaml(5), dynvitd-interface(7)\n")
		pages[m.name+"."+m.section] = md2man.Render([]byte(b.String()))
	}
	return pages, nil
}

var (
	linked  = regexp.MustCompile(`\[([^\]]+)\]\([^)\s]+\)`)
	example = regexp.MustCompile("(?ms)^```json ?([^\n]*)\n(.*?)^```$")
	table   = regexp.MustCompile(`(?m)^\|.*\|\n\| ---.*\|\n(?:\|.*\|\n)+`)
	deeper  = regexp.MustCompile(`(?m)^##(#+ )`)
)

// forManual fits a section for a terminal: headings a level higher, links as their
// words alone, JSON over several lines, tables as lists.
func forManual(text string) string {
	text = example.ReplaceAllStringFunc(text, func(block string) string {
		m := example.FindStringSubmatch(block)
		var b bytes.Buffer
		if json.Indent(&b, []byte(strings.TrimSpace(m[2])), "", " ") != nil {
			return block
		}
		return fmt.Sprintf("%s:\n\n```\n%s\n```", m[1], b.String())
	})
	text = table.ReplaceAllStringFunc(text, asList)
	return deeper.ReplaceAllString(linked.ReplaceAllString(text, "$1"), "#$1")
}

// asList makes a table a list of definitions: the first cell is the term, the last is
// what it means, those between are named by their column.
func asList(table string) string {
	var b strings.Builder
	lines := strings.Split(strings.TrimSpace(table), "\n")
	names := cells(lines[0])
	for _, line := range lines[2:] {
		row := cells(line)
		last := len(row) - 1
		fmt.Fprintf(&b, "\n%s\n: %s", row[0], row[last])
		for i := 1; i < last; i++ {
			if row[i] != "" {
				fmt.Fprintf(&b, " (%s: %s)", names[i], row[i])
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func cells(row string) []string {
	words := strings.Split(strings.Trim(row, "| "), " |")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	return words
}
