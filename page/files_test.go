package page

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFiles: each is sent whole, in parts, or not at all where the browser has it, by
// its kind and under the policy.
func TestFiles(t *testing.T) {
	p, _, mux := newPage(token)
	if len(p.files) < 10 {
		t.Fatalf("only %d files", len(p.files))
	}
	for _, f := range p.files {
		route := strings.TrimSuffix(f.route(), "{$}")
		w := asked(mux, "GET", route, "peer", "192.0.2.7:1")
		if w.Code != 200 || w.Body.String() != string(f.data) || f.kind == "" || w.Header().Get("Content-Type") != f.kind ||
			w.Header().Get("Content-Security-Policy") != policy || w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d, %d bytes, %v", route, w.Code, w.Body.Len(), w.Header())
		}
		if w := asked(mux, "HEAD", route); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(len(f.data)) {
			t.Errorf("HEAD %s: %d %v", route, w.Code, w.Header())
		}
		if w := asked(mux, "GET", route, "Range", "bytes=1-4"); w.Code != http.StatusPartialContent || w.Body.String() != string(f.data[1:5]) {
			t.Errorf("a part of %s: %d %q", route, w.Code, w.Body)
		}
		if w := asked(mux, "GET", route, "If-None-Match", w.Header().Get("ETag")); w.Code != http.StatusNotModified {
			t.Errorf("%s again: %d", route, w.Code)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
		t.Errorf("the policy has holes: %s", policy)
	}
}

// text is a file's.
func text(t *testing.T, name string) string {
	t.Helper()
	data, err := web.ReadFile("web/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// scripts are all of the page's own.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, f := range embedded() {
		if path.Ext(f.name) == ".js" {
			list[f.name] = string(f.data)
		}
	}
	if len(list) < 5 {
		t.Fatalf("only %d scripts", len(list))
	}
	return list
}

// TestNothingInline: the policy would not let it run, nor anything of elsewhere; what is
// asked for exists, and scripts are told to the browser ahead of time.
func TestNothingInline(t *testing.T) {
	html := text(t, "index.html")
	for _, bad := range []string{` on\w+=`, `<style`, `style="`, `<script>`, `javascript:`, `https?://`, `<iframe`, `data:`} {
		if found := regexp.MustCompile(bad).FindString(html); found != "" {
			t.Errorf("index.html has %q", found)
		}
	}
	all := scripts(t)
	for name, source := range all {
		for _, bad := range []string{`innerHTML`, `outerHTML`, `insertAdjacentHTML`, `document\.write`, `\beval\(`, `new Function`, `https?://`, `\.cookie`} {
			if found := regexp.MustCompile(bad).FindString(source); found != "" {
				t.Errorf("%s has %q", name, found)
			}
		}
		for _, m := range regexp.MustCompile(`from "\./([\w.]+)"`).FindAllStringSubmatch(source, -1) {
			if all[m[1]] == "" {
				t.Errorf("%s imports %s, which does not exist", name, m[1])
			}
		}
		if !strings.Contains(html, `"/page/`+name+`"`) {
			t.Errorf("index.html does not name %s", name)
		}
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="/page/([^"]+)"`).FindAllStringSubmatch(html, -1) {
		text(t, m[1])
	}
	if css := text(t, "style.css"); regexp.MustCompile(`url\(|@import`).MatchString(css) {
		t.Error("style.css asks for something")
	}
}

// languagesOf are the files' words.
func languagesOf(t *testing.T) map[string]map[string]string {
	t.Helper()
	list := map[string]map[string]string{}
	for _, f := range embedded() {
		if path.Dir(f.name) != "languages" {
			continue
		}
		var words map[string]string
		if err := json.Unmarshal(f.data, &words); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		list[strings.TrimSuffix(path.Base(f.name), ".json")] = words
	}
	if len(list) < 2 || list["en"] == nil {
		t.Fatalf("languages %v", slices.Collect(maps.Keys(list)))
	}
	return list
}

// TestLanguages: each has the same words with the same values in them, none is empty, and
// what the page says is there.
func TestLanguages(t *testing.T) {
	all := languagesOf(t)
	values := regexp.MustCompile(`\{\w+\}`)
	in := func(s string) string {
		found := values.FindAllString(s, -1)
		slices.Sort(found)
		return strings.Join(found, " ")
	}
	for code, words := range all {
		for key, english := range all["en"] {
			if words[key] == "" || in(words[key]) != in(english) {
				t.Errorf("%s: %s is %q, want a text with %q", code, key, words[key], in(english))
			}
		}
		for key := range words {
			if all["en"][key] == "" {
				t.Errorf("%s: English has no %s", code, key)
			}
		}
	}
	_, _, mux := newPage("")
	if w := asked(mux, "GET", "/page/languages"); !strings.Contains(w.Body.String(), `{"code":"de","name":"Deutsch"}`) {
		t.Errorf("languages: %d %s", w.Code, w.Body)
	}
}

// TestWords: what scripts and page say is among the words, and of these each is said.
func TestWords(t *testing.T) {
	english := languagesOf(t)["en"]
	said := map[string]bool{"language": true}
	for _, m := range regexp.MustCompile(`data-words="(\w+)">([^<]+)<`).FindAllStringSubmatch(text(t, "index.html"), -1) {
		said[m[1]] = true
		if english[m[1]] != m[2] {
			t.Errorf("index.html says %q for %s, the words are %q", m[2], m[1], english[m[1]])
		}
	}
	// words("key"), words(x ? "a" : "b"), words(`prefix_${…}`).
	calls := regexp.MustCompile(`words\(((?:[^()]|\([^()]*\))*)`)
	quoted := regexp.MustCompile(`"([a-z][a-z0-9_]+)"`)
	prefix := regexp.MustCompile("`([a-z]+_)\\$\\{")
	for name, source := range scripts(t) {
		for _, call := range calls.FindAllStringSubmatch(source, -1) {
			for _, m := range quoted.FindAllStringSubmatch(call[1], -1) {
				said[m[1]] = true
				if english[m[1]] == "" && !slices.Contains([]string{"online"}, m[1]) {
					t.Errorf("%s says %s, which is no word", name, m[1])
				}
			}
			for _, m := range prefix.FindAllStringSubmatch(call[1], -1) {
				n := 0
				for key := range english {
					if strings.HasPrefix(key, m[1]) {
						said[key], n = true, n+1
					}
				}
				if n == 0 {
					t.Errorf("%s says %s…, which is no word", name, m[1])
				}
			}
		}
	}
	for key := range english {
		if !said[key] {
			t.Errorf("nobody says %s", key)
		}
	}
}
