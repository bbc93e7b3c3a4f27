package modelfile

import (
	"archive/zip"
	"bytes"
	"dynvit/internal/needs"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
)

// pickler writes the few opcodes that the checkpoints of these tests need.
type pickler struct{ bytes.Buffer }

func (p *pickler) op(ops string) *pickler { p.WriteString(ops); return p }
func (p *pickler) str(s string) *pickler {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
	return p
}
func (p *pickler) num(n int) *pickler {
	p.WriteByte('J')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	return p
}
func (p *pickler) global(module, name string) *pickler {
	p.WriteString("c" + module + "\n" + name + "\n")
	return p
}
func (p *pickler) ints(n ...int) *pickler {
	p.op("(")
	for _, v := range n {
		p.num(v)
	}
	return p.op("t")
}

// tensor pushes a call of _rebuild_tensor_v2.
func (p *pickler) tensor(storage, class string, offset int, shape, stride []int) *pickler {
	p.global("torch._utils", "_rebuild_tensor_v2").op("((").str("storage").global("torch", class).str(storage).str("cpu").num(99).op("tQ")
	return p.num(offset).ints(shape...).ints(stride...).op("\x89").global("collections", "OrderedDict").op(")RtR")
}

// zipped is a checkpoint in the zip form.
func zipped(t testing.TB, object []byte, storages map[string][]byte) []byte {
	t.Helper()
	members := []member{{name: "m/data.pkl", data: object}}
	for key, data := range storages {
		members = append(members, member{name: "m/data/" + key, data: data})
	}
	return zipOf(t, members...)
}

// member is an entry of a zip, and in what it lies about itself.
type member struct {
	name  string
	data  []byte
	claim uint64 // bytes more than there are
	crc   uint32 // wrong bits of the checksum
}

func zipOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, m := range members {
		size := uint64(len(m.data)) + m.claim
		w, err := z.CreateRaw(&zip.FileHeader{Name: m.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(m.data) ^ m.crc,
			CompressedSize64: size, UncompressedSize64: size})
		if err == nil {
			_, err = w.Write(m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func floats(v ...float32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// checkpointOf is {"model": OrderedDict of what fill writes, "args": Namespace,
// "epoch": numpy scalar}, as a pickle.
func checkpointOf(fill func(p *pickler)) []byte {
	var p pickler
	p.op("\x80\x02}(").str("model").global("collections", "OrderedDict").op(")R(")
	fill(&p)
	p.op("u")
	// An argparse.Namespace, built and given a state, and a numpy scalar.
	p.str("args").global("argparse", "Namespace").op(")\x81}(").str("lr").str("0.1").op("ub")
	p.str("epoch").global("numpy.core.multiarray", "scalar").op("(").global("numpy", "dtype").op("(").str("f8").op("tR").str("x").op("tR")
	p.op("u.")
	return p.Bytes()
}

// TestLegacyPTH is the form before PyTorch 1.6: pickles one after the other,
// then the storages.
func TestLegacyPTH(t *testing.T) {
	const whole = -1 // storage, not a view into it
	float := func(p *pickler, key string, first int) *pickler {
		p.global("torch._utils", "_rebuild_tensor").op("((").str("storage").global("torch", "FloatStorage").str(key).str("cpu").num(3)
		if first == whole {
			p.op("N")
		} else {
			p.op("(").str("view").num(first).num(1).op("t")
		}
		return p.op("tQ").num(0).ints(1).ints(1).op("tR")
	}
	odd := func(p *pickler, key string) *pickler { return p.tensor(key, "QInt8Storage", 0, []int{1}, []int{1}) }
	for name, c := range map[string]struct {
		object func(p *pickler)
		keys   []string
		says   string
		want   float32
	}{
		"plain":         {func(p *pickler) { float(p.str("w"), "7", whole) }, []string{"7"}, "", 1},
		"view":          {func(p *pickler) { float(p.str("w"), "7", 2) }, []string{"7"}, "", 3},
		"view beyond":   {func(p *pickler) { float(p.str("w"), "7", 3) }, []string{"7"}, "tensor w: shape", 0},
		"view negative": {func(p *pickler) { float(p.str("w"), "7", -2) }, []string{"7"}, "view makes no sense", 0},
		"module": {func(p *pickler) {
			p.str("net").op("(").str("module").global("nets", "Net").str("net.py").str("class Net: …").op("tQ)\x81}b0")
			p.op("0") // and its key: it was not for the state dict
			float(p.str("w"), "7", whole)
		}, []string{"7"}, "", 1},
		"unknown storage last":  {func(p *pickler) { float(p.str("w"), "7", whole); p.str("q"); odd(p, "8").op("00") }, []string{"7", "8"}, "", 1},
		"unknown storage first": {func(p *pickler) { float(p.str("w"), "7", whole); p.str("q"); odd(p, "6").op("00") }, []string{"6", "7"}, "hides", 0},
		"missing storage":       {func(p *pickler) { float(p.str("w"), "7", whole) }, nil, "missing", 0},
		"storage twice":         {func(p *pickler) { float(p.str("w"), "7", whole) }, []string{"7", "7"}, "twice", 0},
	} {
		var storages [][]byte
		for range c.keys {
			storages = append(storages, binary.LittleEndian.AppendUint64(nil, 3), floats(1, 2, 3))
		}
		tensors, _, err := parsePTH(legacy(checkpointOf(c.object), "\x88", c.keys, bytes.Join(storages, nil)), "")
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: error %v, want %q", name, err, c.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := tensors[0].Float32(); err != nil || len(tensors) != 1 || !slices.Equal(got, []float32{c.want}) {
			t.Errorf("%s: %v, want %v (%v)", name, got, c.want, err)
		}
	}
}

func TestLegacyHostile(t *testing.T) {
	object := checkpointOf(func(p *pickler) { p.str("w").tensor("0", "FloatStorage", 0, []int{1}, []int{1}) })
	storage := func(n uint64) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), floats(1)...) }
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"big endian":     {legacy(object, "\x89", []string{"0"}, storage(1)), "big endian"},
		"count":          {legacy(object, "\x88", []string{"0"}, storage(2)), "2 elements"},
		"huge count":     {legacy(object, "\x88", []string{"0"}, storage(1<<63)), "the file ends early"},
		"no storage":     {legacy(object, "\x88", []string{"0"}, nil), "the file ends early"},
		"no object":      {legacy([]byte("\x80\x02N."), "\x88", nil, nil), "is a None"},
		"another number": {[]byte("\x80\x02K\x07."), "torch.save did not write"},
	} {
		if _, _, err := parsePTH(c.file, ""); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		}
	}
}

// legacy is a checkpoint in the legacy form; little is the opcode that says
// whether the writer was little endian.
func legacy(object []byte, little string, keys []string, storages []byte) []byte {
	var p pickler
	p.op("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.") // the magic number, little endian
	p.op("\x80\x02M\xe9\x03.")
	p.op("\x80\x02}(").str("little_endian").op(little + "u.")
	p.Write(object)
	p.op("\x80\x02](")
	for _, key := range keys {
		p.str(key)
	}
	p.op("e.")
	p.Write(storages)
	return p.Bytes()
}

// TestStateDict: where the tensors are looked for.
func TestStateDict(t *testing.T) {
	one := func(p *pickler, name string) *pickler {
		return p.op("}(").str(name).tensor("0", "FloatStorage", 0, []int{1}, []int{1}).op("u")
	}
	inert := func(p *pickler, class string) *pickler { return p.global("nets", class).op(")\x81") }
	for name, c := range map[string]struct {
		fill func(p *pickler)
		want string // a tensor's name, or part of the error
	}{
		"itself":             {func(p *pickler) { one(p, "w") }, "found w"},
		"model":              {func(p *pickler) { one(one(p.op("}(").str("state_dict"), "b").str("model"), "a").op("u") }, "found a"},
		"state_dict":         {func(p *pickler) { one(one(p.op("}(").str("model_ema"), "b").str("state_dict"), "a").op("u") }, "found a"},
		"model_ema":          {func(p *pickler) { one(p.op("}(").str("model_ema"), "a").op("u") }, "found a"},
		"model is a name":    {func(p *pickler) { one(p.op("}(").str("model").str("deit").str("state_dict"), "a").op("u") }, "found a"},
		"model has settings": {func(p *pickler) { one(p.op("}(").str("model").op("}").str("state_dict"), "a").op("u") }, "found a"},
		"model beside":       {func(p *pickler) { one(inert(p.op("}(").str("model"), "Net").str("state_dict"), "a").op("u") }, "found a"},
		"model whole":        {func(p *pickler) { inert(p.op("}(").str("model"), "Net").op("u") }, "model is a whole object of class nets.Net"},
		"whole object":       {func(p *pickler) { inert(p, "Net").op("}b") }, "the checkpoint is a whole object of class nets.Net"},
		"a list":             {func(p *pickler) { p.op("]") }, "is a list"},
		"a number":           {func(p *pickler) { p.num(3) }, "is a int"},
		"nothing in it":      {func(p *pickler) { p.op("}") }, "no tensors"},
		"without name":       {func(p *pickler) { one(p, "") }, "empty"},
		"timm's average": {func(p *pickler) {
			one(one(p.op("}(").str("state_dict"), "a").str("state_dict_ema"), "b").op("u")
		}, "found b of state_dict_ema, not [state_dict]"},
		"ema":             {func(p *pickler) { one(one(p.op("}(").str("model"), "a").str("ema"), "b").op("u") }, "found b of ema, not [model]"},
		"model_ema stays": {func(p *pickler) { one(one(p.op("}(").str("model_ema"), "a").str("model"), "b").op("u") }, "found b of model, not [model_ema]"},
		"net":             {func(p *pickler) { one(p.op("}(").str("net"), "a").op("u") }, "found a of net, not []"},
		"weights within":  {func(p *pickler) { one(p.op("}(").str("model").op("}(").str("weights"), "a").op("uu") }, "found a of model.weights, not []"},
		"another name":    {func(p *pickler) { one(p.op("}(").str("my_vit"), "a").op("u") }, "found a of my_vit, not []"},
		"optimizer beside": {func(p *pickler) {
			one(one(p.op("}(").str("optimizer").op("}(").str("state"), "x").op("u").str("my_vit"), "a").op("u")
		}, "found a of my_vit, not []"},
		"two other names": {func(p *pickler) { one(one(p.op("}(").str("his"), "a").str("hers"), "b").op("u") }, `say which (--key): "his", "hers"`},
		"extra state": {func(p *pickler) {
			inert(p.op("}(").str("w").tensor("0", "FloatStorage", 0, []int{1}, []int{1}).str("fc._extra_state"), "State").op("u")
		}, "found w"},
		"a circle":     {func(p *pickler) { p.op("}q\x01(").str("model").op("h\x01").str("x").op("h\x01u") }, "no tensors"},
		"line in name": {func(p *pickler) { one(p, "a\nb") }, `tensor "a\nb"`},
	} {
		var p pickler
		c.fill(p.op("\x80\x02"))
		tensors, taken, err := parsePTH(zipped(t, p.op(".").Bytes(), map[string][]byte{"0": floats(1)}), "")
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprintf("found %s of %s, not %v", tensors[0].Name, taken.Key, taken.Others)
		}
		if !strings.Contains(got, c.want) || (err == nil && len(tensors) != 1) || strings.Contains(got, "\n") {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestKey: an entry that is asked for by name.
func TestKey(t *testing.T) {
	var p pickler
	p.op("\x80\x02}(")
	for _, key := range []string{"model", "my"} {
		p.str(key).op("}(").str(key+".w").tensor("0", "FloatStorage", 0, []int{1}, []int{1}).op("u")
	}
	p.str("deep").op("}(").str("er").op("}(").str("w").tensor("0", "FloatStorage", 0, []int{1}, []int{1}).op("uu")
	file := zipped(t, p.op("u.").Bytes(), map[string][]byte{"0": floats(1)})
	for key, want := range map[string]string{"": "model.w", "model": "model.w", "my": "my.w", "deep.er": "w"} {
		tensors, _, err := parsePTH(file, key)
		if err != nil || len(tensors) != 1 || tensors[0].Name != want {
			t.Errorf("%q: %v, %v, want %s", key, tensors, err, want)
		}
	}
	var none *NoEntryError
	if _, _, err := parsePTH(file, "deep"); !errors.As(err, &none) || !slices.Equal(none.There, []string{"model", "my", "deep.er"}) {
		t.Errorf("no such entry: %v", err)
	}
}

// TestAlias: what is contiguous lies in the file, and several tensors may share it.
func TestAlias(t *testing.T) {
	file := zipped(t, checkpointOf(func(p *pickler) {
		p.str("a").tensor("0", "FloatStorage", 0, []int{1, 4}, []int{77, 1})
		p.str("b").tensor("0", "FloatStorage", 2, []int{2}, []int{1})
	}), map[string][]byte{"0": floats(1, 2, 3, 4)})
	tensors, _, err := parsePTH(file, "")
	if err != nil {
		t.Fatal(err)
	}
	a, b := tensors[0].Data, tensors[1].Data
	if len(a) != 16 || len(b) != 8 || &a[8] != &b[0] {
		t.Errorf("%d and %d bytes do not share memory", len(a), len(b))
	}
}

func TestPTHHostile(t *testing.T) {
	storages := map[string][]byte{"0": floats(1, 2)}
	tensor := func(offset int, shape, stride []int) []byte {
		return checkpointOf(func(p *pickler) { p.str("w").tensor("0", "FloatStorage", offset, shape, stride) })
	}
	entry := func(fill func(p *pickler)) []byte {
		return checkpointOf(func(p *pickler) { fill(p.str("w")) })
	}
	for name, c := range map[string]struct {
		object []byte
		says   string
	}{
		"offset beyond":     {tensor(5, []int{1}, []int{1}), "tensor w"},
		"offset at the end": {tensor(2, []int{1}, []int{1}), "tensor w"},
		"shape beyond":      {tensor(0, []int{3}, []int{1}), "tensor w"},
		"stride beyond":     {tensor(0, []int{2}, []int{1 << 30}), "tensor w"},
		"stride by one":     {tensor(0, []int{2}, []int{2}), "tensor w"},
		"expanded":          {tensor(0, []int{1 << 20, 2}, []int{0, 1}), "larger than the file"},
		"overflow":          {tensor(0, []int{1 << 30, 1 << 30, 1 << 30}, []int{0, 0, 0}), "tensor w"},
		"negative":          {tensor(0, []int{-1}, []int{1}), "no sense"},
		"negative offset":   {tensor(-1, []int{1}, []int{1}), "no sense"},
		"ranks differ":      {tensor(0, []int{1, 1}, []int{1}), "no sense"},
		"too many axes":     {tensor(0, make([]int, maxDims+1), make([]int, maxDims+1)), "no sense"},
		"missing storage":   {entry(func(p *pickler) { p.tensor("9", "FloatStorage", 0, []int{1}, []int{1}) }), "missing"},
		"unknown class":     {entry(func(p *pickler) { p.global("evil", "Thing").op(")R") }), "tensor w: depends on class evil.Thing"},
		"unknown rebuild": {entry(func(p *pickler) {
			p.global("torch._tensor", "_rebuild_from_type_v2").op("(").num(1).op("tR")
		}), "tensor w: depends on class torch._tensor._rebuild_from_type_v2"},
		"unknown storage": {entry(func(p *pickler) { p.tensor("0", "QUInt8Storage", 0, []int{1}, []int{1}) }), "QUInt8Storage"},
		"numpy scalar": {entry(func(p *pickler) {
			p.global("numpy.core.multiarray", "scalar").op("(").str("f8").op("tR")
		}), "tensor w: depends on class numpy.core.multiarray.scalar"},
		"two types": {checkpointOf(func(p *pickler) {
			p.str("w").tensor("0", "FloatStorage", 0, []int{1}, []int{1}).str("v").tensor("0", "HalfStorage", 0, []int{1}, []int{1})
		}), `storage "0" is F32 and F16`},
		"no storage":      {entry(func(p *pickler) { p.global("torch._utils", "_rebuild_tensor_v2").op("(NK\x00))tR") }), "storage is a None"},
		"few arguments":   {entry(func(p *pickler) { p.global("torch._utils", "_rebuild_tensor_v2").op(")R") }), "0 arguments"},
		"strange dict":    {entry(func(p *pickler) { p.global("collections", "OrderedDict").op("(K\x01tR") }), "a dict of a int"},
		"strange pairs":   {entry(func(p *pickler) { p.global("collections", "OrderedDict").op("(](K\x01etR") }), "pairs"},
		"os.system":       {[]byte("\x80\x02cposix\nsystem\n(X\x02\x00\x00\x00lstR."), "posix.system"},
		"no tensors":      {checkpointOf(func(*pickler) {}), "no tensors"},
		"long pickle":     {bytes.Repeat([]byte("N"), maxSteps+1), "operations"},
		"huge number":     {[]byte("\x80\x02\x8b\x00\x08\x00\x00" + strings.Repeat("\x01", 2048) + "."), "2048 bytes"},
		"line in a class": {[]byte("\x80\x04\x8c\x01a\x8c\x03b\nc\x93."), "control characters"},
	} {
		_, _, err := parsePTH(zipped(t, c.object, storages), "")
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, want one line with %q", name, err, c.says)
		}
	}
}

// TestMachineErrors: pickles that no pickler writes.
func TestMachineErrors(t *testing.T) {
	for pickle, says := range map[string]string{
		"":                                      "ends early",
		"\x80":                                  "ends early",
		"\xff.":                                 "opcode 0xff is not known",
		"P0\n.":                                 "opcode 0x50 is not known",
		"}(X\xff\xff\xff\x7f":                   "ends early",
		"\x8d\xff\xff\xff\xff\xff\xff\xff\xff":  "ends early",
		"R.":                                    "stack is empty",
		".":                                     "stack is empty",
		"0.":                                    "stack is empty",
		"2.":                                    "stack is empty",
		"(.":                                    "unexpected mark",
		"t.":                                    "no mark",
		"h\x07.":                                "memo 7 is empty",
		"q\x07.":                                "stack is empty",
		"\x94.":                                 "stack is empty",
		"}(Nu.":                                 "key without value",
		"(Nd.":                                  "key without value",
		")Na.":                                  "a tuple holds no items",
		"cposix":                                "ends early",
		"NN\x93.":                               "no string",
		"]Q.":                                   "persistent id is a list",
		")Q.":                                   "no sense",
		"(NNtQ.":                                "no storage",
		"N)R.":                                  "a None cannot be called",
		"ca\nb\n]R.":                            "arguments are a list",
		"(o.":                                   "without class",
		"Nb.":                                   "stack is empty",
		"I1x\n.":                                "more than digits",
		"I" + strings.Repeat("1", 2000) + "\n.": "2000 digits",
	} {
		_, _, err := unpickle([]byte(pickle), newCheckpoint(0), &steps{maxSteps})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: error %v, want %q", pickle, err, says)
		}
	}
}

// TestNested: objects that hold themselves, or more than any memory if they were
// written out, where a name or number belongs.
func TestNested(t *testing.T) {
	doubled := "\x80\x04)" + strings.Repeat("\x94h\x00\x86", 1)
	for range 60 { // t = (t, t), sixty times
		doubled += "2\x86"
	}
	deep := "\x80\x04)" + strings.Repeat("\x85", maxSteps/8)
	circle := "\x80\x04]\x94h\x00a"
	for name, object := range map[string]string{
		"root":       "%s.",
		"class":      "%[1]s%[1]s\x93.",
		"key":        "(X\x07\x00\x00\x00storagectorch\nFloatStorage\n%sNNtQ.",
		"device":     "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000%sNtQ.",
		"arguments":  "ctorch._utils\n_rebuild_tensor_v2\n(%[1]s%[1]s%[1]s%[1]stR.",
		"entry":      "}X\x01\x00\x00\x00w%ss.",
		"pairs":      "ccollections\nOrderedDict\n%s\x85R.",
		"persistent": "%sQ.",
	} {
		for _, value := range []string{doubled, deep, circle} {
			_, _, err := parsePTH(zipped(t, fmt.Appendf(nil, object, value), nil), "")
			if err == nil || len(err.Error()) > 300 {
				t.Errorf("%s: error %.300v, want a short one", name, err)
			}
		}
	}
}

func TestZipHostile(t *testing.T) {
	object := checkpointOf(func(p *pickler) { p.str("w").tensor("0", "FloatStorage", 0, []int{1}, []int{1}) })
	pkl, zero := member{name: "m/data.pkl", data: object}, member{name: "m/data/0", data: floats(1)}
	good := zipOf(t, pkl, zero, member{name: "m/byteorder", data: []byte("little")}, member{name: "m/.data/serialization_id", data: []byte("7")})
	if tensors, _, err := parsePTH(good, ""); err != nil || len(tensors) != 1 {
		t.Fatal(tensors, err)
	}
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	w, err := z.Create("m/data.pkl")
	if err == nil {
		_, err = w.Write(make([]byte, 1<<20))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"compressed":    {packed.Bytes(), "compressed"},
		"claims more":   {zipOf(t, pkl, member{name: "m/data/0", data: floats(1), claim: 1 << 40}), "claim more"},
		"overlap":       {zipOf(t, pkl, zero, member{name: "m/x", data: floats(1), claim: 300}), "entr"},
		"checksum":      {zipOf(t, pkl, member{name: "m/data/0", data: floats(1), crc: 1}), "checksum"},
		"entry twice":   {zipOf(t, pkl, zero, zero), "twice"},
		"two objects":   {zipOf(t, pkl, zero, member{name: "n/data.pkl", data: object}), "2 data.pkl"},
		"no object":     {zipOf(t, zero), "0 data.pkl"},
		"other archive": {zipOf(t, pkl, member{name: "n/data/0", data: floats(1)}), "missing"},
		"big endian":    {zipOf(t, pkl, zero, member{name: "m/byteorder", data: []byte("big")}), "byte order"},
		"line in name":  {zipOf(t, pkl, member{name: "a\nb", crc: 1}), "checksum"},
		"empty":         {zipOf(t), "neither form"},
		"text":          {[]byte("hello"), "neither form"},
		"nothing":       {nil, "neither form"},
	} {
		_, _, err := parsePTH(c.file, "")
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		}
	}
}

// TestRealPTH reads the reference's official-format checkpoints.
func TestRealPTH(t *testing.T) {
	for name, count := range map[string]int{"mini_deit": 182, "mini_lvvit": 234} {
		t.Run(name, func(t *testing.T) {
			f, err := ReadPTH(needs.Shared(t, "golden", name, name+".pth"), "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Verify(); err != nil || len(f.Names()) != count {
				t.Errorf("%d tensors, want %d (%v)", len(f.Names()), count, err)
			}
		})
	}
}

func FuzzPTH(f *testing.F) {
	object := checkpointOf(func(p *pickler) {
		p.str("module.w").tensor("0", "FloatStorage", 1, []int{2, 2}, []int{2, 1})
	})
	f.Add(zipped(f, object, map[string][]byte{"0": floats(1, 2, 3, 4, 5)}))
	f.Add(legacy(object, "\x88", []string{"0"}, append(binary.LittleEndian.AppendUint64(nil, 5), floats(1, 2, 3, 4, 5)...)))
	f.Add(object)
	f.Fuzz(func(t *testing.T, data []byte) {
		// As a whole file, and as the object of one, which mutation of a zip would
		// never reach behind the checksum.
		for _, file := range [][]byte{data, zipped(t, data, map[string][]byte{"0": floats(1, 2)})} {
			tensors, _, err := parsePTH(file, "")
			if err != nil && (tensors != nil || strings.Contains(err.Error(), "\n")) {
				t.Fatalf("%d tensors with error %q", len(tensors), err)
			}
			for _, tensor := range tensors {
				n, ok := elements(tensor.Shape, tensor.DType.Size())
				if !ok || n != tensor.Len() || len(tensor.Data) > len(file) || checkName(tensor.Name) != nil {
					t.Fatalf("tensor %q: %d elements for shape %v", tensor.Name, tensor.Len(), tensor.Shape)
				}
			}
		}
	})
}
