package timm_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"dynvit/modelfile"
	"dynvit/modelnames"
	"dynvit/timm"
	"dynvit/vit"
)

// definition is the shapes of one of timm's, of its blocks the first alone.
type definition struct {
	Depth   int
	Tensors map[string][]int
}

func definitions(t *testing.T) map[string]definition {
	t.Helper()
	file, err := os.Open("testdata/shapes.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]definition
	if err := json.NewDecoder(text).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// tensors are those of a definition, without data.
func (d definition) tensors() (list []modelfile.Tensor) {
	for name, shape := range d.Tensors {
		rest, inBlock := strings.CutPrefix(name, "blocks.0.")
		if !inBlock {
			list = append(list, modelfile.Tensor{Name: name, DType: modelfile.F32, Shape: shape})
			continue
		}
		for i := range d.Depth {
			list = append(list, modelfile.Tensor{Name: fmt.Sprintf("blocks.%d.%s", i, rest), DType: modelfile.F32, Shape: shape})
		}
	}
	return list
}

// verdict is what an import makes of a definition's names and shapes, by its name.
func verdict(name string, d definition) (vit.Config, error) {
	meta, known, err := timm.Lookup(name)
	if err != nil || !known {
		return vit.Config{}, err
	}
	tensors, from, err := modelnames.Canonical(d.tensors())
	if err != nil || from.Name != "timm" {
		return vit.Config{}, err
	}
	m, err := modelfile.ParseManifest(meta)
	if err != nil {
		return vit.Config{}, err
	}
	return vit.Infer(modelfile.New(nil, tensors), m)
}

// TestDefinitions holds the table in docs/models.md to what is done with each definition.
func TestDefinitions(t *testing.T) {
	list := definitions(t)
	groups := map[string][]string{}
	taken, backbones := 0, 0
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if _, known, _ := timm.Lookup(name); !known {
			t.Errorf("%s: not in the table", name)
		}
		c, err := verdict(name, list[name])
		switch {
		case err != nil:
			groups["refused: "+err.Error()] = append(groups["refused: "+err.Error()], name)
		case c.Classes == 0:
			backbones++
			groups["taken as a backbone"] = append(groups["taken as a backbone"], name)
		default:
			taken++
			groups["taken"] = append(groups["taken"], name)
		}
	}
	if taken+backbones < 120 {
		t.Errorf("%d definitions are taken, %d as backbones", taken, backbones)
	}
	if want := page(t); table(groups) != want {
		t.Errorf("docs/models.md says\n%s\nwant\n%s", want, table(groups))
	}
}

// table is the Markdown table of the verdicts.
func table(groups map[string][]string) string {
	var b strings.Builder
	b.WriteString("| | number | definitions |\n| --- | --- | --- |\n")
	order := slices.SortedFunc(maps.Keys(groups), func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	for _, what := range order {
		fmt.Fprintf(&b, "| %s | %d | `%s` |\n", what, len(groups[what]), strings.Join(groups[what], "` `"))
	}
	return b.String()
}

// rank puts what is taken first.
func rank(verdict string) string {
	if strings.HasPrefix(verdict, "refused") {
		return "2" + verdict
	}
	return "1" + verdict
}

// page is the table as docs/models.md has it.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/models.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- timm's definitions -->\n")
	list, _, closed := strings.Cut(rest, "<!-- end -->")
	if !found || !closed {
		t.Fatal("docs/models.md: no marks around timm's definitions")
	}
	return list
}

func TestLookup(t *testing.T) {
	meta, known, err := timm.Lookup("vit_base_patch16_clip_quickgelu_224.openai")
	if err != nil || !known || meta["act"] != "quick_gelu" || meta["layer_norm_eps"] != "1e-05" || meta["heads"] != "12" {
		t.Error(meta, known, err)
	}
	meta["heads"] = "1"
	if again, _, _ := timm.Lookup("vit_base_patch16_clip_quickgelu_224"); again["heads"] != "12" {
		t.Error("the caller's change reached the table")
	}
	if _, known, err := timm.Lookup("vit_base_patch16_rpn_224"); !known || err == nil || !strings.Contains(err.Error(), "res-post-norm") {
		t.Error(known, err)
	}
	if _, known, err := timm.Lookup("resnet50"); known || err != nil {
		t.Error(known, err)
	}
	// Every row that is taken must be metadata.
	for name := range definitions(t) {
		meta, _, err := timm.Lookup(name)
		if _, bad := modelfile.ParseManifest(meta); err == nil && bad != nil {
			t.Errorf("%s: %v", name, bad)
		}
	}
}

// TestStrangersWithoutName: a definition that is not taken is refused by its tensors too,
// where nothing says which it is.
func TestStrangersWithoutName(t *testing.T) {
	refused := 0
	for name, d := range definitions(t) {
		if _, _, err := timm.Lookup(name); err == nil {
			continue
		}
		refused++
		tensors, _, err := modelnames.Canonical(d.tensors())
		var c vit.Config
		if err == nil {
			c, err = vit.Infer(modelfile.New(nil, tensors), modelfile.Manifest{Heads: 1, Head: modelfile.NoHead})
		}
		if err == nil {
			t.Errorf("%s is taken for %+v", name, c)
		}
	}
	if refused < 40 {
		t.Errorf("%d definitions are refused", refused)
	}
}
