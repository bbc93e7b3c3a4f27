package checkpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/modelfile"
)

// put writes a file of tensors of one element each, under these names.
func put(t testing.TB, path string, names ...string) {
	t.Helper()
	var tensors []modelfile.Tensor
	for _, name := range names {
		tensors = append(tensors, modelfile.Tensor{Name: name, DType: modelfile.F32, Shape: []int{1}, Data: make([]byte, 4)})
	}
	if err := modelfile.Write(path, nil, tensors); err != nil {
		t.Fatal(err)
	}
}

func text(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func namesOf(c *Checkpoint) string {
	var names []string
	for _, tensor := range c.Tensors {
		names = append(names, tensor.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

const (
	conv  = "patch_embed.proj.weight"
	block = "blocks.0.norm1.weight"
)

// TestNames: what wrappers put around names goes, what belongs to training is passed over
// and named, and where two models are there, one has to be chosen.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		in, key, want, says string
	}{
		{conv + " " + block, "", block + " " + conv, ""},
		{"module." + conv + " module." + block, "", block + " " + conv, "module."},
		{"model._orig_mod.module." + conv + " model._orig_mod.module.head.weight", "", "head.weight " + conv, "model.module."},
		{"_fsdp_wrapped_module." + conv + " blocks.0._checkpoint_wrapped_module.norm1.weight", "", block + " " + conv, ""},
		{"net." + conv + " net.head.weight criterion.weight train_acc.tp n_averaged", "", "head.weight " + conv, "3 tensors of training: criterion.weight, n_averaged, train_acc.tp"},
		{conv + " valid_MulticlassAccuracy.tp TverskyLoss.weight train_acc1.total loss", "", conv, "4 tensors of training"},
		{conv + " accent.weight blocks.0.lossless.weight", "", "accent.weight blocks.0.lossless.weight " + conv, ""},
		{conv + " head.weight loss_fn.weight", "", "head.weight " + conv, "1 tensor of training: loss_fn.weight"},
		{"x." + conv + " x.head.weight adapter.weight", "", "head.weight " + conv, "warning: passed over 1 tensor outside of x.*: adapter.weight"},
		{"backbone." + conv + " fc.weight fc.bias", "", "head.bias head.weight " + conv, "warning: fc.* is taken for the head"},
		{"backbone." + conv + " fc.0.weight fc.0.bias", "", conv, "warning: passed over 2 tensors outside"},
		{"enc.conv_proj.weight head.weight head.bias", "", "conv_proj.weight heads.head.bias heads.head.weight", "taken for the head"},
		{"vit.embeddings.patch_embeddings.projection.weight classifier.weight", "", "classifier.weight vit.embeddings.patch_embeddings.projection.weight", ""},
		{"model.vit.embeddings.patch_embeddings.projection.weight model.classifier.weight", "", "classifier.weight vit.embeddings.patch_embeddings.projection.weight", "prefix model."},
		{"vit." + conv + " vit.head.weight", "", "head.weight " + conv, "prefix vit."},
		{"model.vit." + conv + " model.fc.weight model.fc.bias", "", "head.bias head.weight " + conv, "warning: model.fc.* is taken for the head"},
		{"vit_encoder.conv_proj.weight vit_encoder.heads.head.weight", "", "conv_proj.weight heads.head.weight", "prefix vit_encoder."},
		{"vision_model.embeddings.patch_embedding.weight classifier.weight", "", "classifier.weight vision_model.embeddings.patch_embedding.weight", ""},
		{"a." + conv + " b." + conv, "", "", "error: 2 models, under a, b: say which (--key)"},
		{"a." + conv + " b." + conv, "b", conv, "1 tensor of another model: a." + conv},
		{"a." + conv + " b." + conv, "c", "", `error: key "c": no model of that name: there is a, b`},
		{conv + " ema." + conv, "ema", conv, ""},
		{"fc.weight", "ema", "", "error: key \"ema\": no vision transformer's patch projection"},
		{"module.model.conv1.weight module.model.fc.weight", "", "conv1.weight fc.weight", "module.model."},
		{"x." + conv + " x._orig_mod." + conv, "", "", "error: tensor " + `"` + conv + `"` + ": comes twice"},
		{"base_model.model." + conv + " base_model.model.blocks.0.attn.qkv.lora_A.weight", "", "", "error: tensor base_model.model.blocks.0.attn.qkv.lora_A.weight: belongs to an adapter (lora_A)"},
	} {
		path := filepath.Join(t.TempDir(), "m.safetensors")
		put(t, path, strings.Fields(c.in)...)
		got, err := Open(path, Options{Key: c.key})
		said := fmt.Sprint("error: ", strings.TrimPrefix(fmt.Sprint(err), path+": "))
		if err == nil {
			said = strings.Join(append(slices.Clone(got.Notes), mapped(got.Warnings, "warning: ")...), "\n")
			if names := namesOf(got); names != c.want {
				t.Errorf("%s: %s, want %s", c.in, names, c.want)
			}
			got.Close()
		}
		if (err != nil) != (c.want == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: said %q, want %q", c.in, said, c.says)
		}
	}
}

func mapped(lines []string, prefix string) (out []string) {
	for _, l := range lines {
		out = append(out, prefix+l)
	}
	return out
}

// TestFolder: which file of a folder is taken.
func TestFolder(t *testing.T) {
	for _, c := range []struct{ files, want string }{
		{"model.safetensors pytorch_model.bin optimizer.pt training_args.bin", "model.safetensors"},
		{"x.safetensors optimizer.pt scheduler.pt rng_state.pth", "x.safetensors"},
		{"optimizer.pt", "no weights"},
		{"", "no weights"},
		{"a.safetensors b.safetensors", `name one: "a.safetensors", "b.safetensors"`},
		{"tf_model.h5", "HDF5"},
		{"snapshots", "hub's cache"},
		{"model.onnx", "ONNX"},
	} {
		dir := t.TempDir()
		for _, name := range strings.Fields(c.files) {
			switch filepath.Ext(name) {
			case ".safetensors":
				put(t, filepath.Join(dir, name), conv)
			case ".h5":
				text(t, filepath.Join(dir, name), "\x89HDF\r\n\x1a\n")
			case ".onnx":
				text(t, filepath.Join(dir, name), "\x08\x08\x12\x07pytorch")
			default:
				text(t, filepath.Join(dir, name), "no model")
			}
		}
		got, err := Open(dir, Options{})
		said := fmt.Sprint(err)
		if err == nil {
			said = filepath.Base(got.Path)
			got.Close()
		}
		if !strings.Contains(said, c.want) || strings.Contains(said, "\n") {
			t.Errorf("%s: %s, want %s", c.files, said, c.want)
		}
	}
}

// TestIndex: shards lie beside their index, and hold what it says.
func TestIndex(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "model-00001-of-00002.safetensors"), conv)
	put(t, filepath.Join(dir, "model-00002-of-00002.safetensors"), block)
	put(t, filepath.Join(dir, "twice.safetensors"), block, conv)
	outside := filepath.Join(t.TempDir(), "outside.safetensors")
	put(t, outside, conv)
	index := filepath.Join(dir, "model.safetensors.index.json")
	good := map[string]string{conv: "model-00001-of-00002.safetensors", block: "model-00002-of-00002.safetensors"}
	for _, c := range []struct {
		table map[string]string
		want  string
	}{
		{good, ""},
		{map[string]string{conv: outside}, "beside the index"},
		{map[string]string{conv: "../" + filepath.Base(filepath.Dir(outside)) + "/outside.safetensors"}, "beside the index"},
		{map[string]string{conv: ".."}, "beside the index"},
		{map[string]string{conv: ""}, "beside the index"},
		{map[string]string{conv: "config.json"}, "beside the index"},
		{map[string]string{conv: `a\b.safetensors`}, "beside the index"},
		{map[string]string{conv: "none.safetensors"}, "no such file"},
		{map[string]string{conv: "twice.safetensors", block: "model-00002-of-00002.safetensors"}, "is in two of the files"},
		{map[string]string{conv: "model-00002-of-00002.safetensors"}, "is not in model-00002-of-00002.safetensors"},
		{map[string]string{}, "weight_map"},
	} {
		data, err := json.Marshal(map[string]any{"weight_map": c.table})
		if err != nil {
			t.Fatal(err)
		}
		text(t, index, string(data))
		for _, in := range []string{dir, index} {
			got, err := Open(in, Options{})
			if c.want == "" {
				if err != nil || namesOf(got) != block+" "+conv {
					t.Errorf("%v: %v", c.table, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %v, want %s", c.table, err, c.want)
			}
		}
	}
	if _, err := Open(filepath.Join(dir, "model-00002-of-00002.safetensors"), Options{}); err == nil || !strings.Contains(err.Error(), "one of 2 shards") {
		t.Errorf("a shard alone: %v", err)
	}
}

// facts are what all sources together say, later ones first.
func facts(c *Checkpoint) map[string]string {
	all := map[string]string{}
	for _, f := range c.Facts {
		maps.Copy(all, f.Meta)
	}
	return all
}

// TestSidecars: what the files beside the weights say, as metadata.
func TestSidecars(t *testing.T) {
	const timm = `"architecture":"vit_small_patch16_224","model_args":{"img_size":[96,96],"num_heads":6}`
	vit := func(more string) string { return `{"model_type":"vit"` + more + `}` }
	for _, c := range []struct{ config, processor, want string }{
		{`{` + timm + `,"pretrained_cfg":{"crop_pct":0.9,"mean":[0.5,0.4,0.3],"std":[1,1,1],"interpolation":"bilinear","input_size":[3,224,224]}}`, "",
			"image_size=96 resize=106 mean=0.5,0.4,0.3 interpolation=bilinear heads=6"},
		{`{` + timm + `,"pretrained_cfg":{"crop_pct":0.95,"crop_mode":"squash"}}`, "", "resize=101 crop_mode=squash mean=0.485,0.456,0.406 interpolation=bicubic"},
		{`{` + timm + `}`, "", "resize=109 mean=0.485,0.456,0.406 layer_norm_eps=1e-06"},
		{`{"architecture":"vit_base_patch16_clip_quickgelu_224","pretrained_cfg":{"input_size":[3,224,224]}}`, "", "heads=12 act=quick_gelu layer_norm_eps=1e-05 resize=256"},
		{`{"architecture":"vit_tiny_patch16_224","num_classes":0,"crop_pct":1.0,"input_size":[3,64,64],"mean":[0,0,0]}`, "", "head=none resize=64 mean=0,0,0"},
		{`{` + timm + `,"label_names":["n01440764","n01443537"],"label_descriptions":{"n01440764":"tench","n01443537":"goldfish"}}`, "", "classes=tench|goldfish synsets=n01440764|n01443537"},
		{`{` + timm + `,"label_names":["a","b"],"global_pool":"avg"}`, "", "classes=a|b pool=avg"},
		{vit(`,"hidden_size":48,"num_attention_heads":3,"image_size":[64,64],"layer_norm_eps":1e-6,"hidden_act":"gelu_new","id2label":{"1":"b","0":"a"}`), "",
			"width=48 heads=3 image_size=64 layer_norm_eps=1e-06 act=gelu_tanh classes=a|b"},
		{vit(``), "", "heads=12 layer_norm_eps=1e-12 act=gelu"},
		{`{"model_type":"vit","architectures":["ViTModel"]}`, "", "head=none"},
		{`{"model_type":"dinov2","architectures":["Dinov2ForImageClassification"]}`, "", "pool=token+avg layer_norm_eps=1e-06"},
		{`{"model_type":"clip","architectures":["CLIPForImageClassification"],"vision_config":{"hidden_size":32}}`, "", "pool=avg width=32 act=quick_gelu"},
		{`{"model_type":"siglip","architectures":["SiglipForImageClassification"],"vision_config":{"hidden_size":32}}`, "", "pool=avg width=32 heads=12 act=gelu_tanh layer_norm_eps=1e-06"},
		{vit(``), `{"image_processor_type":"ViTImageProcessor","size":{"height":64,"width":64},"resample":2,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}`,
			"resize=warp image_size=64 interpolation=bilinear mean=0.5,0.5,0.5"},
		{vit(``), `{"feature_extractor_type":"ViTFeatureExtractor","size":224}`, "resize=warp image_size=224 interpolation=bilinear mean=0.5,0.5,0.5"},
		{vit(``), `{"image_processor_type":"DeiTImageProcessorFast"}`, "resize=256 image_size=224 crop_mode=squash crop_offset=floor interpolation=bicubic"},
		{vit(``), `{"image_processor_type":"CLIPImageProcessor","size":{"shortest_edge":256},"crop_size":{"height":224,"width":224}}`,
			"resize=256 image_size=224 crop_offset=floor std=0.26862954,0.26130258,0.27577711"},
		{vit(``), `{"image_processor_type":"ViTImageProcessor","do_normalize":false}`, "mean=0,0,0 std=1,1,1"},
	} {
		got, err := beside(t, c.config, c.processor)
		if err != nil {
			t.Errorf("%s %s: %v", c.config, c.processor, err)
			continue
		}
		for _, pair := range strings.Fields(c.want) {
			key, want, _ := strings.Cut(pair, "=")
			if got := facts(got)[key]; got != want {
				t.Errorf("%s %s: %s is %q, want %q", c.config, c.processor, key, got, want)
			}
		}
		if all := facts(got); all["crop_mode"] == "squash" && !strings.Contains(c.want, "squash") {
			t.Errorf("%s: squashed", c.config)
		}
	}
}

// beside opens weights with these files beside them.
func beside(t testing.TB, config, processor string) (*Checkpoint, error) {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "model.safetensors"), conv)
	text(t, filepath.Join(dir, "config.json"), config)
	if processor != "" {
		text(t, filepath.Join(dir, "preprocessor_config.json"), processor)
	}
	c, err := Open(dir, Options{})
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

// TestUnfitLabels: labels that a model file cannot hold are left out, and that is said.
func TestUnfitLabels(t *testing.T) {
	for _, config := range []string{
		`{"model_type":"vit","num_attention_heads":3,"id2label":{"0":"a","2":"b"}}`,
		`{"model_type":"vit","num_attention_heads":3,"id2label":{"0":"a|b"}}`,
		`{"model_type":"vit","num_attention_heads":3,"id2label":["a",""]}`,
		`{"model_type":"vit","num_attention_heads":3,"id2label":7}`,
		`{"architecture":"vit_tiny_patch16_224","label_names":["a\nb"]}`,
	} {
		c, err := beside(t, config, "")
		if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "--labels") || facts(c)["classes"] != "" || facts(c)["heads"] != "3" {
			t.Errorf("%s: %v, %v", config, c, err)
		}
	}
}

// TestSizes: pictures of another size than the model's are doubted.
func TestSizes(t *testing.T) {
	for kind, doubts := range map[string]int{"vit": 1, "dinov2": 0} {
		c, err := beside(t, `{"model_type":"`+kind+`","image_size":64}`, `{"image_processor_type":"ViTImageProcessor","size":{"height":96,"width":96}}`)
		if err != nil || len(c.Warnings) != doubts {
			t.Errorf("%s: %v, %v", kind, c.Warnings, err)
		}
	}
}

// TestSidecarErrors: files that make no sense, or want what is not done, in one line that
// names file and key.
func TestSidecarErrors(t *testing.T) {
	timm := func(cfg string) string {
		return `{"architecture":"vit_tiny_patch16_224","pretrained_cfg":{"input_size":[3,64,64]` + cfg + `}}`
	}
	for _, c := range []struct{ config, processor, says string }{
		{`{`, "", "config.json: JSON"},
		{`[]`, "", "config.json: JSON"},
		{`null`, "", "want an object"},
		{`{}{}`, "", "more behind"},
		{strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "", "nests more than 64"},
		{`{"model_type":"vit","hidden_size":"48"}`, "", "hidden_size"},
		{`{"model_type":"vit","hidden_size":1.5}`, "", "hidden_size"},
		{`{"model_type":"vit","image_size":[64,32]}`, "", "only square inputs"},
		{`{"model_type":7}`, "", "model_type"},
		{timm(`,"crop_mode":"border"`), "", "crop_mode"},
		{timm(`,"crop_pct":0`), "", "crop_pct"},
		{timm(`,"crop_pct":1e999`), "", "crop_pct"},
		{timm(`,"mean":"0.5"`), "", "mean"},
		{timm(`,"mean":[0.5,"x"]`), "", "mean"},
		{timm(`,"crop_border_pixels":4`), "", "crop_border_pixels"},
		{`{"architecture":"vit_base_patch16_siglip_224"}`, "", "attention"},
		{`{"model_type":"vit"}`, `{"image_processor_type":"ViTImageProcessor","size":{"height":64,"width":32}}`, "size: width"},
		{`{"model_type":"vit"}`, `{"image_processor_type":"ViTImageProcessor","size":{"shortest_edge":224}}`, "preprocessor_config.json: size"},
		{`{"model_type":"vit"}`, `{"image_processor_type":"ViTImageProcessor","size":{"longest_edge":224}}`, "longest_edge"},
		{`{"model_type":"vit"}`, `{"image_processor_type":"ViTImageProcessor","do_resize":false}`, "do_resize"},
		{`{"model_type":"vit"}`, `{"image_processor_type":"ViTImageProcessor","rescale_factor":1}`, "rescale_factor"},
		{`{"model_type":"vit"}`, `{"image_processor_type":"ViTImageProcessor","resample":9}`, "resample"},
	} {
		_, err := beside(t, c.config, c.processor)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "config.json") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.100s %s: %v, want %q", c.config, c.processor, err, c.says)
		}
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "model.safetensors"), conv)
	text(t, filepath.Join(dir, "config.json"), `{"model_type":"vit","x":"`+strings.Repeat("x", maxSidecar)+`"}`)
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a huge file: %v", err)
	}
	if c, err := Open(dir, Options{Alone: true}); err != nil || len(c.Facts) != 1 {
		t.Errorf("alone: %v", err)
	}
}

// FuzzSidecars: no JSON beside the weights does more than give metadata, or an error in one line.
func FuzzSidecars(f *testing.F) {
	f.Add([]byte(`{"architecture":"vit_tiny_patch16_224","num_classes":7,"label_names":["a"],"model_args":{"img_size":[64,64]},"pretrained_cfg":{"crop_pct":0.9,"mean":[0.5,0.5,0.5]}}`))
	f.Add([]byte(`{"model_type":"clip","vision_config":{"hidden_size":48},"id2label":{"0":"a"},"architectures":["CLIPForImageClassification"]}`))
	f.Add([]byte(`{"image_processor_type":"DeiTImageProcessor","size":{"height":256,"width":256},"crop_size":224,"image_mean":[0.5,0.5,0.5]}`))
	f.Add([]byte(`{"weight_map":{"a":"b.safetensors"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parse(data)
		if err != nil {
			oneLine(t, err)
			return
		}
		var c Checkpoint
		if err := c.config(o); err != nil {
			oneLine(t, err)
		}
		meta, err := processor(o)
		if err != nil {
			oneLine(t, err)
		} else {
			c.Facts = append(c.Facts, Facts{Meta: meta})
		}
		for _, f := range c.Facts {
			if _, err := modelfile.ParseManifest(f.Meta); err != nil {
				oneLine(t, err)
			}
		}
	})
}

func oneLine(t *testing.T, err error) {
	t.Helper()
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
		t.Fatalf("%d bytes: %q", len(err.Error()), err)
	}
}

// FuzzIndex: an index names files of its folder, or is an error.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"weight_map":{"a":"b.safetensors","c":"../x.safetensors"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "model.safetensors.index.json")
		text(t, path, string(data))
		w, err := find(path)
		if err != nil {
			oneLine(t, err)
			return
		}
		for _, file := range w.files {
			if filepath.Dir(file) != dir || filepath.Ext(file) != ".safetensors" {
				t.Fatalf("names %q", file)
			}
		}
	})
}
