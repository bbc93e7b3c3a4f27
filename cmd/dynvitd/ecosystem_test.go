package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/internal/needs"
	"dynvit/modelfile"
)

// example is a checkpoint of ../shared/golden/ecosystem and what its own program
// answers.
type example struct {
	Import string
	Flags  []string
	Refuse []string
	Labels []string
}

func exampleOf(t *testing.T, name string) (dir string, r example) {
	t.Helper()
	dir = needs.Shared(t, "golden", "ecosystem", name)
	data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, r
}

// container is one way in which programs keep a model: made of a reference checkpoint,
// it has to answer as that does.
type container struct {
	of    string                                          // reference
	make  func(t *testing.T, s source, dir string) string // nil: the reference itself
	flags []string                                        // beside or instead of the reference's
}

// source is a reference's model, apart.
type source struct {
	dir     string
	tensors []modelfile.Tensor
}

// sourceOf reads a reference; the tensors lie in memory.
func sourceOf(t *testing.T, name string) source {
	t.Helper()
	dir, r := exampleOf(t, name)
	path := filepath.Join(dir, r.Import)
	if r.Import == "." {
		path = filepath.Join(dir, "model.safetensors")
	}
	open := modelfile.Open
	if !strings.HasSuffix(path, ".safetensors") {
		open = func(path string) (*modelfile.File, error) { return modelfile.ReadPTH(path, "") }
	}
	f, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	s := source{dir: dir}
	for _, name := range f.Names() {
		tensor, _ := f.Tensor(name)
		s.tensors = append(s.tensors, tensor)
	}
	return s
}

// state is the tensors as a state dict, their names changed.
func (s source) state(rename func(string) string) entries {
	var e entries
	for _, t := range s.tensors {
		e = append(e, struct {
			key   string
			value any
		}{rename(t.Name), t})
	}
	return e
}

func prefixed(prefix string) func(string) string {
	return func(name string) string { return prefix + name }
}

// sidecars copies the JSON files that lie beside the reference.
func (s source) sidecars(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"config.json", "preprocessor_config.json"} {
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// write writes tensors as safetensors.
func (s source) write(t *testing.T, dir, name string, rename func(string) string, tensors []modelfile.Tensor) string {
	t.Helper()
	renamed := slices.Clone(tensors)
	for i := range renamed {
		renamed[i].Name = rename(renamed[i].Name)
	}
	path := filepath.Join(dir, name)
	if err := modelfile.Write(path, map[string]string{"format": "pt"}, renamed); err != nil {
		t.Fatal(err)
	}
	return path
}

// pth is a container of a state dict within entries.
func pth(rename func(string) string, around func(state entries) entries) func(*testing.T, source, string) string {
	return func(t *testing.T, s source, dir string) string {
		return torchSave(t, dir, "last.pth", around(s.state(rename)))
	}
}

func itself(state entries) entries { return state }

// under puts a state dict into an entry, beside what a training program keeps.
func under(keys ...string) func(entries) entries {
	return func(state entries) entries {
		for _, key := range slices.Backward(keys) {
			state = entries{{"epoch", 3}, {key, state}, {"optimizer", entries{{"state", entries{}}}}}
		}
		return state
	}
}

// safetensors is a container of one file, without anything beside it.
func safetensors(rename func(string) string) func(*testing.T, source, string) string {
	return func(t *testing.T, s source, dir string) string {
		return s.write(t, dir, "m.safetensors", rename, s.tensors)
	}
}

// folder is a container of one file and the reference's sidecars.
func folder(name string, rename func(string) string) func(*testing.T, source, string) string {
	return func(t *testing.T, s source, dir string) string {
		s.sidecars(t, dir)
		if strings.HasSuffix(name, ".safetensors") {
			s.write(t, dir, name, rename, s.tensors)
		} else {
			torchSave(t, dir, name, s.state(rename))
		}
		return dir
	}
}

// shards is a container of two files and an index.
func shards(stem, ending string) func(*testing.T, source, string) string {
	return func(t *testing.T, s source, dir string) string {
		s.sidecars(t, dir)
		table := map[string]string{}
		half := len(s.tensors) / 2
		for i, part := range [][]modelfile.Tensor{s.tensors[:half], s.tensors[half:]} {
			name := fmt.Sprintf("%s-%05d-of-00002%s", stem, i+1, ending)
			if ending == ".safetensors" {
				s.write(t, dir, name, prefixed(""), part)
			} else {
				torchSave(t, dir, name, source{tensors: part}.state(prefixed("")))
			}
			for _, tensor := range part {
				table[tensor.Name] = name
			}
		}
		index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": table})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, stem+ending+".index.json"), index, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
}

// compiled is how torch.compile of each block names tensors.
func compiled(name string) string {
	if block, rest, is := strings.Cut(strings.TrimPrefix(name, "blocks."), "."); is && strings.HasPrefix(name, "blocks.") {
		return "blocks." + block + "._orig_mod." + rest
	}
	return name
}

// apart is a LightningModule of a backbone and a head.
func apart(name string) string {
	if rest, is := strings.CutPrefix(name, "head."); is {
		return "classifier." + rest
	}
	return "backbone." + name
}

// averaged is torch's AveragedModel.
func averaged(state entries) entries {
	return append(entries{{"n_averaged", modelfile.Tensor{DType: modelfile.I64, Data: make([]byte, 8)}}}, state...)
}

// augreg is what the folder of the reference timm-augreg says, for its file alone.
var augreg = []string{"--heads", "3", "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5", "--resize", "71"}

// containers are the rows of docs/models.md.
var containers = map[string]container{
	"timm-hub":             {of: "timm-augreg"},
	"timm-hub-labels":      {of: "timm-labels"},
	"timm-hub-bin":         {of: "timm-augreg", make: folder("pytorch_model.bin", prefixed(""))},
	"timm-train":           {of: "timm-ema"},
	"timm-heads":           {of: "unusual-heads"},
	"timm-wrapper":         {of: "timm-augreg", make: folder("model.safetensors", prefixed("timm_model."))},
	"deit-distilled":       {of: "deit-distilled"},
	"deit3":                {of: "deit3"},
	"registers":            {of: "registers"},
	"mean-pooling":         {of: "mean-pooling"},
	"state-dict":           {of: "timm-augreg", make: pth(prefixed(""), itself), flags: augreg},
	"safetensors":          {of: "timm-augreg", make: safetensors(prefixed("")), flags: augreg},
	"ddp":                  {of: "timm-augreg", make: pth(prefixed("module."), under("model")), flags: augreg},
	"ddp-safetensors":      {of: "timm-augreg", make: safetensors(prefixed("module.")), flags: augreg},
	"compile":              {of: "timm-augreg", make: pth(prefixed("_orig_mod.module."), under("state_dict")), flags: augreg},
	"compile-blocks":       {of: "timm-augreg", make: pth(compiled, itself), flags: augreg},
	"compile-safetensors":  {of: "timm-augreg", make: safetensors(prefixed("_orig_mod.")), flags: augreg},
	"averaged":             {of: "timm-augreg", make: pth(prefixed("module."), averaged), flags: augreg},
	"net":                  {of: "timm-augreg", make: pth(prefixed("net."), under("net")), flags: augreg},
	"weights":              {of: "timm-augreg", make: pth(prefixed(""), under("weights")), flags: augreg},
	"model-ema":            {of: "timm-augreg", make: pth(prefixed("module."), under("model_ema")), flags: augreg},
	"teacher":              {of: "timm-augreg", make: pth(prefixed("module.backbone."), under("teacher")), flags: augreg},
	"own-key":              {of: "timm-augreg", make: pth(prefixed(""), under("box", "vit")), flags: append([]string{"--key", "box.vit"}, augreg...)},
	"own-module":           {of: "timm-augreg", make: pth(prefixed("vit."), itself), flags: augreg},
	"lightning":            {of: "lightning"},
	"lightning-backbone":   {of: "timm-augreg", make: pth(apart, under("state_dict")), flags: augreg},
	"transformers":         {of: "hf-vit"},
	"transformers-shards":  {of: "hf-vit", make: shards("model", ".safetensors")},
	"transformers-bin":     {of: "hf-vit", make: folder("pytorch_model.bin", prefixed(""))},
	"transformers-bins":    {of: "hf-vit", make: shards("pytorch_model", ".bin")},
	"transformers-wrapped": {of: "hf-vit", make: folder("last.ckpt", prefixed("model."))},
	"torchvision":          {of: "torchvision"},
	"torchvision-train":    {of: "torchvision", make: pth(prefixed("module."), under("model"))},
}

// imported turns a container into a model file.
func imported(t *testing.T, c container) (model, stdout, stderr string) {
	t.Helper()
	dir, r := exampleOf(t, c.of)
	in, flags := filepath.Join(dir, r.Import), r.Flags
	if c.make != nil {
		in, flags = c.make(t, sourceOf(t, c.of), t.TempDir()), append(slices.Clone(r.Flags), c.flags...)
	}
	model = filepath.Join(t.TempDir(), "m.safetensors")
	stdout, stderr, code := outcome(t, dynvitd(t, append([]string{"model", "import", in, "-o", model}, flags...)...))
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return model, stdout, stderr
}

// agrees holds a model to a reference's answers.
func agrees(t *testing.T, model, name, backend string) {
	t.Helper()
	dir, _ := exampleOf(t, name)
	stdout, stderr, code := outcome(t, dynvitd(t, "model", "verify", model, "--against", filepath.Join(dir, "expected.json"),
		"--data", filepath.Join(filepath.Dir(dir), "pictures"), "--backend", backend))
	if code != 0 || strings.Count(stdout, ": ok\n") != 4 {
		t.Errorf("on %s: exit %d, %s%s", backend, code, stdout, stderr)
	}
}

// TestContainers: every way to keep a model gives its own program's answers, and every one is
// a row of docs/models.md.
func TestContainers(t *testing.T) {
	for name, c := range containers {
		t.Run(name, func(t *testing.T) {
			model, _, _ := imported(t, c)
			agrees(t, model, c.of, "ref")
		})
	}
	data, err := os.ReadFile("../../docs/models.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := section(data).below(t, "## What is taken").rows("case")
	same(t, "cases of docs/models.md", firstCodes(rows), slices.Collect(maps.Keys(containers)))
}

// TestReferences: whole reference checkpoints on the plain and the fastest backend, and
// what is refused.
func TestReferences(t *testing.T) {
	list, err := os.ReadDir(needs.Shared(t, "golden", "ecosystem"))
	if err != nil {
		t.Fatal(err)
	}
	taken, refused := 0, 0
	for _, entry := range list {
		if !entry.IsDir() || entry.Name() == "pictures" {
			continue
		}
		t.Run(entry.Name(), func(t *testing.T) {
			dir, r := exampleOf(t, entry.Name())
			if r.Refuse == nil {
				taken++
				model, _, _ := imported(t, container{of: entry.Name()})
				agrees(t, model, entry.Name(), "portable")
				agrees(t, model, entry.Name(), "auto")
				return
			}
			refused++
			out := filepath.Join(t.TempDir(), "m.safetensors")
			_, stderr, code := outcome(t, dynvitd(t, append([]string{"model", "import", filepath.Join(dir, r.Import), "-o", out}, r.Flags...)...))
			if code != 1 || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit %d, %q", code, stderr)
			}
			for _, word := range r.Refuse {
				if !strings.Contains(stderr, word) {
					t.Errorf("%q lacks %q", stderr, word)
				}
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file was written")
			}
		})
	}
	if taken < 11 || refused < 3 {
		t.Errorf("%d taken, %d refused", taken, refused)
	}
}

// TestAgainst: another model's answers, and what is no file of them.
func TestAgainst(t *testing.T) {
	model, _, _ := imported(t, container{of: "timm-augreg"})
	dir, _ := exampleOf(t, "timm-ema")
	stored, pictures := filepath.Join(dir, "expected.json"), filepath.Join(filepath.Dir(dir), "pictures")
	stdout, stderr, code := outcome(t, dynvitd(t, "model", "verify", model, "--against", stored, "--data", pictures))
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "4 of 4 pictures differ") || strings.Count(stdout, ": differs\n") != 4 {
		t.Errorf("another model: exit %d, %s%s", code, stdout, stderr)
	}
	if _, stderr, code := outcome(t, dynvitd(t, "model", "verify", model, "--against", stored, "--data", pictures, "--tolerance", "100")); code != 1 {
		t.Errorf("another class within the tolerance: exit %d, %s", code, stderr)
	}
	lines := filepath.Join(t.TempDir(), "lines.json")
	answers, stderr, code := outcome(t, dynvitd(t, "classify", "--model", model, "--json", "--logits", filepath.Join(pictures, "80x80.png"), picture))
	if err := os.WriteFile(lines, []byte(answers), 0o600); err != nil || code != 0 {
		t.Fatalf("%v, %s", err, stderr)
	}
	if stdout, stderr, code := outcome(t, dynvitd(t, "model", "verify", model, "--against", lines, "--tolerance", "0")); code != 0 || strings.Count(stdout, ": ok\n") != 2 {
		t.Errorf("its own answers: exit %d, %s%s", code, stdout, stderr)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--data", pictures}, 2, "--against"},
		{[]string{"--against", stored, "--tolerance", "-1"}, 2, "--tolerance"},
		{[]string{"--against", "/nowhere.json"}, 1, "/nowhere.json"},
		{[]string{"--against", stored}, 1, "131x90.png"},
		{[]string{"--against", model}, 1, "JSON"},
	} {
		_, stderr, code := outcome(t, dynvitd(t, append([]string{"model", "verify", model}, c.args...)...))
		if code != c.code || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, %q", c.args, code, stderr)
		}
	}
}

// TestProvenance: import says of each value where it comes from, warns of what may be wrong, and
// refuses that when it is asked to.
func TestProvenance(t *testing.T) {
	_, stdout, stderr := imported(t, container{of: "timm-labels"})
	for _, line := range []string{
		"mean 0.485,0.456,0.406 config.json", "resize 71 config.json", "crop_mode center config.json", "heads 3 config.json", "mlp_ratio 4 tensors", "interpolation bicubic config.json",
		"prune_at 1,2,3 default", "classes thing 0|thing 1|thing 2|thing 3|thing 4|thing 5|thing 6 config.json",
	} {
		if !hasLine(stdout, line) {
			t.Errorf("no line %q in\n%s", line, stdout)
		}
	}
	if stderr != "" {
		t.Errorf("warned: %s", stderr)
	}
	_, stdout, stderr = imported(t, container{of: "lightning"})
	for _, line := range []string{"heads 3 flag", "mean 0.485,0.456,0.406 assumed", "layer_norm_eps 1e-06 assumed", "took the tensors of entry state_dict",
		"took the prefix model. off the names", "passed over 1 tensor of training: criterion.weight"} {
		if !hasLine(stdout, line) {
			t.Errorf("no line %q in\n%s", line, stdout)
		}
	}
	if !strings.Contains(stderr, "warning: mean") {
		t.Errorf("no warning of mean: %q", stderr)
	}
	dir, r := exampleOf(t, "lightning")
	out := filepath.Join(t.TempDir(), "m.safetensors")
	strict := append([]string{"model", "import", filepath.Join(dir, r.Import), "-o", out, "--strict"}, r.Flags...)
	if _, stderr, code := outcome(t, dynvitd(t, strict...)); code != 1 || !strings.Contains(stderr, "--strict") || !strings.Contains(stderr, "mean") {
		t.Errorf("strict: exit %d, %q", code, stderr)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("strict wrote a file")
	}
	if _, stderr, code := outcome(t, dynvitd(t, append(strict, "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5")...)); code != 0 || stderr != "" {
		t.Errorf("strict with all said: exit %d, %q", code, stderr)
	}
}

// hasLine finds a line, however its columns are spaced.
func hasLine(text, want string) bool {
	for line := range strings.Lines(text) {
		if strings.Join(strings.Fields(line), " ") == want {
			return true
		}
	}
	return false
}

// TestImportFlags: flags go before the files, into the model file.
func TestImportFlags(t *testing.T) {
	dir, _ := exampleOf(t, "timm-augreg")
	out := filepath.Join(t.TempDir(), "m.safetensors")
	args := []string{"model", "import", dir, "-o", out, "--resize", "warp", "--interpolation", "bilinear", "--eps", "1e-5", "--heads", "4", "--act", "gelu_tanh", "--pool", "avg"}
	if _, stderr, code := outcome(t, dynvitd(t, args...)); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	stdout, _, _ := outcome(t, dynvitd(t, "model", "info", out))
	for _, line := range []string{"resize warp", "interpolation bilinear", "layer_norm_eps 1e-05", "heads 4", "act gelu_tanh", "pool avg",
		"2. warped to 64 by 64 pixels, whatever its shape: bilinear, antialiased, in 8 bits as Pillow does",
		"7. judged by a head of 7 classes, which reads the mean of the patches that are left"} {
		if !hasLine(stdout, line) {
			t.Errorf("no line %q in\n%s", line, stdout)
		}
	}
	for flag, bad := range map[string]string{"--resize": "wide", "--interpolation": "lanczos", "--eps": "0", "--skip-lam": "x", "--act": "relu", "--pool": "max"} {
		_, stderr, code := outcome(t, dynvitd(t, "model", "import", dir, "-o", out+"x", flag, bad))
		if code == 0 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, bad) {
			t.Errorf("%s %s: exit %d, %q", flag, bad, code, stderr)
		}
	}
}

// TestExport: what is exported comes back as it was, and is for transformers what transformers
// itself had written.
func TestExport(t *testing.T) {
	for _, name := range []string{"hf-vit", "timm-labels", "deit-distilled", "deit3", "registers", "mean-pooling", "lightning", "unusual-heads"} {
		t.Run(name, func(t *testing.T) {
			model, _, _ := imported(t, container{of: name})
			dir := filepath.Join(t.TempDir(), "new", "folder")
			if _, stderr, code := outcome(t, dynvitd(t, "model", "export", model, "--hf", dir)); code != 0 {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			back := filepath.Join(t.TempDir(), "m.safetensors")
			if _, stderr, code := outcome(t, dynvitd(t, "model", "import", dir, "-o", back, "--strict")); code != 0 {
				t.Fatalf("back: exit %d: %s", code, stderr)
			}
			agrees(t, back, name, "auto")
			if name == "hf-vit" {
				sameTensors(t, filepath.Join(dir, "model.safetensors"), needs.Shared(t, "golden", "ecosystem", name, "model.safetensors"))
			}
		})
	}
	if _, stderr, code := outcome(t, dynvitd(t, "model", "export", "imagenette")); code != 2 || !strings.Contains(stderr, "--hf") {
		t.Errorf("without a folder: exit %d, %q", code, stderr)
	}
}

// sameTensors compares two files tensor by tensor.
func sameTensors(t *testing.T, a, b string) {
	t.Helper()
	var files [2]*modelfile.File
	for i, path := range []string{a, b} {
		f, err := modelfile.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	if !slices.Equal(files[0].Names(), files[1].Names()) {
		t.Fatalf("tensors %v, want %v", files[0].Names(), files[1].Names())
	}
	for _, name := range files[0].Names() {
		x, _ := files[0].Tensor(name)
		y, _ := files[1].Tensor(name)
		if x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("tensor %s differs", name)
		}
	}
}
