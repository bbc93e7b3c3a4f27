// Package dynvit_test holds the repository's own rules as tests.
package dynvit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// scheme is what a kind of source may import: the border and what schemes share,
// never another scheme.
var scheme = []string{"camera", "regular", "camera/internal/address", "camera/internal/child", "camera/internal/ffmpeg", "camera/internal/lifetime", "camera/internal/option", "camera/internal/picture", "camera/trust", "printable"}

// allowed says which of our packages each package may import outside tests.
// "*" stands for all but cmd, the concrete backends and the schemes of sources.
var allowed = map[string][]string{
	"backends":                         {"internal/finite"},
	"backends/ref":                     {"backends"},
	"backends/internal/host":           {"backends"},
	"backends/avx512":                  {"backends", "backends/internal/host"},
	"backends/avx2":                    {"backends", "backends/internal/host"},
	"backends/neon":                    {"backends", "backends/internal/host"},
	"backends/cuda":                    {"backends", "backends/cuda/device", "backends/cuda/driver", "backends/cuda/kernels"},
	"backends/cuda/ptx":                {"backends/cuda/device"},
	"backends/internal/host/hosttest":  {"backends", "backends/internal/host", "internal/guardpage", "internal/needs"},
	"backends/cuda/device":             {},
	"backends/cuda/driver":             {"backends/cuda/device"},
	"backends/cuda/kernels":            {"backends"},
	"backends/backendtest":             {"backends", "backends/ref"},
	"backends/cuda/kernels/emulate":    {"internal/needs"},
	"backends/cuda/kernels/kerneltest": {"backends", "backends/backendtest", "backends/cuda/kernels", "backends/ref", "camera", "preprocess"},
	"backends/all": {"backends", "backends/ref", "backends/internal/host", "backends/avx512", "backends/avx2",
		"backends/neon", "backends/cuda"},
	"backends/avx512/amx": {"backends", "internal/needs"},

	"internal/finite":    {},
	"internal/guardpage": {},
	"internal/needs":     {},
	"internal/encodings": {"internal/needs"},
	"internal/rendering": {"internal/needs"},

	"atomicfile": {},
	"regular":    {},
	"printable":  {},
	"exif":       {},
	"modelfile":  {"atomicfile", "internal/finite", "printable", "regular"},
	"camera":     {"camera/trust", "printable"},

	"camera/trust":             {"regular"},
	"camera/internal/address":  {"printable"},
	"camera/internal/lifetime": {"camera"},
	"camera/internal/option":   {"camera"},
	"camera/internal/picture":  {"camera"},
	"camera/internal/ffmpeg":   {"camera", "camera/internal/picture"},
	"camera/internal/child":    {"camera", "camera/internal/address", "camera/internal/lifetime", "orphans", "regular"},
	"camera/drawn":             scheme,
	"camera/files":             scheme,
	"camera/v4l2":              scheme,
	"camera/web":               scheme,
	"camera/rtsp":              scheme,
	"camera/sensor":            scheme,
	"camera/command":           scheme,
	"camera/rtsp/rtsptest":     {"camera/cameratest"},
	"camera/all": {"camera", "camera/drawn", "camera/files", "camera/v4l2", "camera/web", "camera/rtsp",
		"camera/sensor", "camera/command"},

	"mqtt":          {"backoff", "mqtt/spool", "regular"},
	"mqtt/spool":    {},
	"mqtt/broker":   {},
	"mdns":          {},
	"homeassistant": {"messages"},
	"download":      {"atomicfile", "backoff", "regular"},
	"modelstore":    {"checkpoint", "download", "modelfile", "modelnames", "vit"},
	"checkpoint":    {"modelfile", "regular", "timm"},
	"export":        {"atomicfile", "modelfile", "vit"},
	"stages":        {"calibrate", "modelfile", "vit"},
	"systemd":       {},
	"machine":       {},
	"orphans":       {},
	"httpserver":    {},
	"metrics":       {"messages", "mqtt", "timing"},
	"page":          {"capture", "classroom", "messages", "timing"},
	"logging":       {"printable"},
	"messages":      {"timing"},
	"config":        {"camera", "camera/trust", "mqtt", "preprocess", "regular", "vit", "printable"},
	"tuning":        {"atomicfile", "calibrate", "camera", "camera/drawn", "engine", "machine", "preprocess", "vit"},
	"figure":        {},
	"calibrate":     {"atomicfile", "figure", "machine", "printable", "regular", "timing"},
	"timing":        {},
	"backoff":       {},
	"gate":          {"camera", "config", "messages", "preprocess"},
	"models":        {},
	"preprocess":    {"camera", "exif", "pictures", "pictures/vips", "preprocess/baseline"},
	"pictures":      {"camera", "exif", "pictures/heif"},
	"pictures/heif": {"exif"},
	"pictures/vips": {},

	"retained": {"atomicfile", "homeassistant", "mqtt"},
	"queue":    {"camera"},
	"enabled":  {},
	"presence": {"backoff", "messages", "mqtt"},

	"preprocess/baseline": {},
	"vit":                 {"backends", "modelfile"},
	"modelnames":          {"modelfile"},
	"head":                {"modelfile", "printable"},
	"capture":             {"camera", "head", "preprocess", "pictures"},
	"teach":               {"calibrate", "camera", "camera/files", "engine", "head", "preprocess", "tuning", "vit"},
	"classroom":           {"atomicfile", "camera", "capture", "config", "engine", "head", "modelfile", "models", "regular", "teach", "vit"},
	"timm":                {},
	"engine":              {"vit", "preprocess", "modelfile", "models", "camera", "backends", "head"},
	// evaluate reads pictures (camera/files) and hands the engine a region and a plan.
	"evaluate":  {"engine", "camera", "camera/files", "preprocess", "regular", "vit"},
	"visualize": {"engine", "evaluate", "camera", "camera/files", "preprocess", "printable", "vit"},
	"failover":  {"backends", "backoff", "camera", "engine", "preprocess", "tuning", "vit"},
	// lineup warms up on a drawn frame.
	"lineup":      {"calibrate", "camera", "camera/drawn", "config", "engine", "head", "messages", "preprocess", "timing", "tuning", "vit"},
	"daemon":      {"*"},
	"packaging":   {},
	"cmd/dynvitd": {"*", "backends/all", "camera/all", "camera/files", "camera/v4l2"},
}

// TestImports walks every Go file that is not a test and holds its imports to
// the table.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), "_") || d.Name() == ".git" || d.Name() == "train") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		return checkFile(t, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("only %d files found: is the test in the root?", files)
	}
}

func checkFile(t *testing.T, path string) error {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	pkg := filepath.ToSlash(filepath.Dir(path))
	owner := pkg
	for _, twin := range []string{"/cameratest", "/mqtttest"} {
		owner = strings.TrimSuffix(owner, twin)
	}
	list, known := allowed[owner]
	if pkg != owner {
		list = append(slices.Clone(list), "internal/needs")
	}
	if !known {
		t.Errorf("%s: package %s is not in the table of imports", path, pkg)
		return nil
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		ours, is := strings.CutPrefix(name, "dynvit/")
		if !is || ours == owner || slices.Contains(list, ours) {
			continue
		}
		concrete := strings.HasPrefix(ours, "backends/") || strings.HasPrefix(ours, "camera/") || strings.HasPrefix(ours, "cmd/")
		if !(slices.Contains(list, "*") && !concrete) {
			t.Errorf("%s imports %s, which %s may not", path, ours, pkg)
		}
	}
	for _, decl := range f.Decls {
		if isInit(decl) {
			t.Errorf("%s: has an init function", path)
		}
	}
	return nil
}

// TestRooms: a folder that grows beyond 25 files has come to own two nouns. The
// commands of cmd/dynvitd are a file each.
func TestRooms(t *testing.T) {
	const most = 25
	files := map[string]int{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files[filepath.ToSlash(filepath.Dir(path))]++
		}
		return err
	})
	if err != nil || len(files) < 20 {
		t.Fatalf("%d folders, %v", len(files), err)
	}
	for folder, n := range files {
		if n > most && folder != "cmd/dynvitd" {
			t.Errorf("%s has %d files without tests, at most %d", folder, n, most)
		}
	}
}

func isInit(decl ast.Decl) bool {
	f, ok := decl.(*ast.FuncDecl)
	return ok && f.Recv == nil && f.Name.Name == "init"
}
