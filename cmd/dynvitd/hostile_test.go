package main

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/printable"
)

// tricks are what a name or text may hold that a terminal obeys, a line does not
// survive, or a reader does not see.
const tricks = "\x1b[2J\x1b]0;x\a\n\r\t\x7f\u009b31m\u202e\u2066\u200b\u200d\ufeff\u2028\u00ad\u3164"

// hostileModel is the default model whose metadata holds tricks, in keys too; labels
// hold those that a label may: what joins signs.
func hostileModel(t *testing.T, path string) string {
	t.Helper()
	f, err := modelfile.Parse(models.Default())
	if err != nil {
		t.Fatal(err)
	}
	f.Meta["license"], f.Meta["training"], f.Meta["x"+tricks] = "free"+tricks, tricks, "y"
	f.Meta["architecture"] = "vit" + tricks
	f.Meta["classes"] = strings.ReplaceAll(f.Meta["classes"], " ", "\u200d")
	var tensors []modelfile.Tensor
	for _, name := range f.Names() {
		tensor, _ := f.Tensor(name)
		tensors = append(tensors, tensor)
	}
	if err := modelfile.Write(path, f.Meta, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

// lasting is how long a command may take: those that run for ever are ended soon.
func lasting(args []string) time.Duration {
	if args[0] == "run" {
		return 5 * time.Second
	}
	return patience
}

// ending is a command line of the program that is told to end after a while, for those
// that would go on.
func ending(t *testing.T, after time.Duration, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), after)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, self, args...)
	c.Cancel = func() error {
		c.Process.Signal(syscall.SIGTERM)
		return os.ErrProcessDone // the exit code is the program's own
	}
	return prepared(t, c)
}

// TestHostileText: whatever files are called and say, every command prints lines of
// its own, of characters that show, and draws the same.
func TestHostileText(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d"+tricks)
	data, out := filepath.Join(dir, "data"+tricks), filepath.Join(dir, "out"+tricks)
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	still, damaged := write(t, data, "a"+tricks+".jpg", string(good)), write(t, data, "b"+tricks+".jpg", "damaged")
	uri := "file://" + (&url.URL{Path: still}).EscapedPath() + "?fps=0"
	model := hostileModel(t, filepath.Join(dir, "m"+tricks+".safetensors"))
	settings := write(t, dir, tricks+".yaml", "node: box\nmqtt: {broker: \"mqtt://127.0.0.1:1\"}\ncameras: {door: {source: \"file:///x%0A%1B%E2%80%AE\"}}\n")
	wrong := write(t, dir, "w"+tricks+".yaml", "\"a"+`\x1b\u202e\n`+"\": 1\n")
	plot := func(limit string) []string {
		return []string{"calibrate", "--model", model, "--budget", "1s", "--source", uri, "--limit", limit, "--keep", "0.5", "--precision", "f32", "--threads", "1", "-o", out + ".json", "--plot", out + ".svg"}
	}
	for _, args := range [][]string{
		{"classify", "--model", model, still, damaged},
		{"classify", "--model", model, "--json", still, damaged},
		{"classify", "--model", dir + "/none.safetensors", still},
		{"visualize", "--model", model, still, "-o", out + ".png"},
		{"visualize", "--model", model, still, "-o", out + ".png", "--json"},
		{"visualize", "--model", model, data, "-o", out + ".html"},
		{"eval", "--model", model, "--data", data},
		{"eval", "--model", model, "--data", data, "--json"},
		{"bench", "--model", model, "--source", uri, "--seconds", "0.01"},
		{"bench", "--model", model, "--source", uri, "--seconds", "0.01", "--json"},
		{"bench", "--data", data, "--seconds", "0.01"},
		plot("1s"), plot("8s"), plot("64s"), // for a busy machine, where a second is not enough to measure anything
		{"calibrate", "--model", model, "--budget", "1s", "--source", uri, "--limit", "1s", "--keep", "0.5", "--precision", "f32", "--threads", "1", "-o", out + ".json", "--json"},
		{"run", "--model", model, "--source", uri, "--keep", "0.7"},
		{"run", "--model", model, "--source", "file:///none%0A%1B%E2%80%AE%E2%80%8B.jpg"},
		{"run", "--source", tricks},
		{"run", "--config", settings, "--json", "--log-format", "json"},
		{"run", "--config", wrong},
		{"config", "check", settings},
		{"config", "check", wrong},
		{"config", "print", "--config", settings},
		{"model", "list"},
		{"model", "info", model},
		{"model", "verify", model},
		{"model", "import", model, "-o", out + ".safetensors"},
		{"model", "import", damaged, "-o", out + ".safetensors"},
		{"model", "pull", tricks},
		{tricks},
		{"classify", "--" + tricks},
	} {
		if _, err := os.Stat(out + ".svg"); err == nil && slices.Contains(args, "--plot") {
			continue
		}
		c := ending(t, lasting(args), args...)
		c.Env = append(c.Env, "DYNVIT_MODELS="+dir)
		stdout, stderr, code := outcome(t, c)
		name := printable.Line(strings.Join(args, " "))
		if stdout+stderr == "" {
			t.Errorf("%s: code %d and not a word", name, code)
		}
		for _, line := range strings.Split(stdout+stderr, "\n") {
			if i := strings.IndexFunc(line, printable.Hidden); i >= 0 {
				t.Errorf("%s: prints %+q", name, line)
			}
		}
		for line := range strings.Lines(stderr) {
			if !strings.HasPrefix(line, "dynvitd: ") && !strings.HasPrefix(line, "time=") && !strings.HasPrefix(line, `{"time":`) {
				t.Errorf("%s: a line %+q on stderr", name, line)
			}
		}
	}
	for _, ending := range []string{".html", ".svg"} {
		text, err := os.ReadFile(out + ending)
		if err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.ContainsFunc(strings.Trim(line, "\n\t"), printable.Hidden) {
				t.Errorf("%s: %+.200q", ending, line)
			}
		}
	}
}

// TestPrintsEscaped: only output.go prints, where it escapes.
func TestPrintsEscaped(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) < 20 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		if path == "output.go" || strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, is := n.(*ast.SelectorExpr); is {
				from, _ := call.X.(*ast.Ident)
				if from != nil && from.Name == "fmt" && (strings.HasPrefix(call.Sel.Name, "Print") || strings.HasPrefix(call.Sel.Name, "Fprint")) {
					t.Errorf("%s: fmt.%s: want printLine, complain or overwrite", set.Position(call.Pos()), call.Sel.Name)
				}
			}
			return true
		})
	}
}
