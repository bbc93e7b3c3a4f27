package dynvit_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// texts are the repository's files that speak to people, by their paths with
// slashes: all Markdown, and all sources and scripts for what their comments say.
func texts(t *testing.T) (markdown, sources map[string]string) {
	t.Helper()
	markdown, sources = map[string]string{}, map[string]string{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".venv", "bin"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		into := sources
		switch filepath.Ext(file) {
		case ".md":
			into = markdown
		case ".go", ".py", ".sh", ".yaml", ".service", ".sysusers", ".html", ".toml", "": // "" has the Makefile and scripts
		default:
			return nil
		}
		data, err := os.ReadFile(file)
		into[filepath.ToSlash(file)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(markdown) < 10 || len(sources) < 100 {
		t.Fatalf("only %d pages and %d sources found: is the test in the root?", len(markdown), len(sources))
	}
	return markdown, sources
}

var (
	fence  = regexp.MustCompile("(?ms)^```.*?^```")
	link   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	quoted = regexp.MustCompile("`([^`\n]+)`")
	// pathLike is a path without spaces, variables, schemes or the like.
	pathLike = regexp.MustCompile(`^[A-Za-z0-9_.*-]+(/[A-Za-z0-9_.*-]+)*/?$`)
	// ofTopics are words of MQTT that would else be taken for paths.
	ofTopics = regexp.MustCompile(`^(cmd|camera|homeassistant)/(.*/)?(keep|budget|recalibrate|snapshot|enabled|result|status|state|event|frame|config)$`)
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInRef = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// TestLinks: what a page links to exists, headings in pages too.
func TestLinks(t *testing.T) {
	pages, _ := texts(t)
	for page, text := range pages {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(m[1], "://") {
				continue
			}
			target := page
			if file != "" {
				target = path.Join(path.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(pages[target]), anchor) {
				t.Errorf("%s links to %s: there is no such heading", page, m[1])
			}
		}
	}
}

// anchors are the names by which headings are linked to.
func anchors(text string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := notInRef.ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// TestNamedFiles: files and folders that a page names in backquotes exist: as seen
// from the root, or beside the page, or for a source file's name alone, anywhere.
func TestNamedFiles(t *testing.T) {
	pages, sources := texts(t)
	names := map[string]bool{}
	for file := range sources {
		names[path.Base(file)] = true
	}
	checked := 0
	for page, text := range pages {
		if page == "CHANGELOG.md" {
			continue // says what was, too
		}
		for _, m := range quoted.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			word := m[1]
			if !isPath(word) {
				continue
			}
			checked++
			if !exists(word) && !exists(path.Join(path.Dir(page), word)) && !names[word] {
				t.Errorf("%s names %s, which does not exist", page, word)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d names of files found", checked)
	}
}

// isPath tells a path of this repository: one whose first folder is ours, or a
// source file's name.
func isPath(word string) bool {
	if !pathLike.MatchString(word) || ofTopics.MatchString(word) {
		return false
	}
	first, _, below := strings.Cut(word, "/")
	if !below {
		return slices.Contains([]string{".go", ".py", ".service", ".yaml"}, path.Ext(word)) && word != path.Ext(word)
	}
	return first != "." && exists(first)
}

// exists reports whether a path or pattern is there. What lies outside of the
// repository, or is made by make, need not be.
func exists(pattern string) bool {
	made := strings.HasPrefix(pattern, "bin/") || strings.HasPrefix(pattern, "train/.venv")
	if made || strings.HasPrefix(path.Clean(pattern), "..") {
		return true
	}
	found, err := filepath.Glob(pattern)
	return err == nil && len(found) > 0
}

// TestNamedPages: pages that code and scripts name exist, and none is named that
// lies outside of the repository.
func TestNamedPages(t *testing.T) {
	pages, sources := texts(t)
	named := regexp.MustCompile(`\bdocs/[\w/.-]+\.md\b|\b[A-Z]{4,}\.md\b`)
	outside := regexp.MustCompile(`shared/` + `docs|\b(DESIGN|INTERFACE|DYNAMICVIT)(\.md|,? §)`)
	checked := 0
	for file, text := range sources {
		for _, page := range named.FindAllString(text, -1) {
			checked++
			if pages[page] == "" {
				t.Errorf("%s names %s, which does not exist", file, page)
			}
		}
	}
	if checked < 5 {
		t.Errorf("only %d names of pages found", checked)
	}
	for _, files := range []map[string]string{pages, sources} {
		for file, text := range files {
			if found := outside.FindString(text); found != "" && file != "docs_test.go" {
				t.Errorf("%s speaks of %s, which is not in the repository", file, found)
			}
		}
	}
}
