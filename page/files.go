package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed web
var web embed.FS

// file is one of the page's own, sent as it is.
type file struct {
	name string // such as app.js
	kind string // Content-Type
	tag  string
	data []byte
}

// kinds are by ending.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".svg": "image/svg+xml",
}

// embedded lists all files.
func embedded() []file {
	var list []file
	err := fs.WalkDir(web, "web", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := web.ReadFile(name)
		sum := sha256.Sum256(data)
		list = append(list, file{
			name: strings.TrimPrefix(name, "web/"), kind: kinds[path.Ext(name)], tag: fmt.Sprintf(`"%x"`, sum[:8]), data: data,
		})
		return err
	})
	if err != nil {
		panic("page: " + err.Error()) // they are in the program
	}
	return list
}

// route is the path that a file is found at.
func (f *file) route() string {
	if f.name == "index.html" {
		return "/{$}"
	}
	return "/page/" + f.name
}

// ServeHTTP sends the file, or says that the one that is there is still good.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Cache-Control", "no-cache") // asks each time
	w.Header().Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}

// language is one that the page speaks.
type language struct {
	Code string `json:"code"` // such as de
	Name string `json:"name"` // as its speakers call it
}

// languages lists those that there is a file of.
func languages(files []file) http.HandlerFunc {
	list := []language{}
	for _, f := range files {
		code, is := strings.CutPrefix(strings.TrimSuffix(f.name, ".json"), "languages/")
		if !is {
			continue
		}
		var words struct {
			Name string `json:"language"`
		}
		if err := json.Unmarshal(f.data, &words); err != nil {
			panic("page: " + f.name + ": " + err.Error()) // tested
		}
		list = append(list, language{code, words.Name})
	}
	return func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, list) }
}

// policy lets the page have scripts, styles and data of its own alone.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// hardened answers by h, with what keeps a browser from doing more with it than the page
// does. Nothing is to be kept, unless h says otherwise.
func hardened(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Cache-Control", "no-store")
		head.Set("Content-Security-Policy", policy)
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}
