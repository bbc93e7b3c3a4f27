package modelfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
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

func zipped(t testing.TB, object []byte, storages map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	add := func(name string, data []byte) {
		w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(data),
			CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data))})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	add("m/data.pkl", object)
	for key, data := range storages {
		add("m/data/"+key, data)
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

// stateDictOf wraps name: tensor pairs as {"model": OrderedDict, "args": Namespace}.
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

func TestPTH(t *testing.T) {
	storages := map[string][]byte{"0": floats(1, 2, 3, 4, 5, 6), "1": {0, 0x3c, 0, 0xc0}}
	object := checkpointOf(func(p *pickler) {
		p.str("module.w").tensor("0", "FloatStorage", 1, []int{2, 2}, []int{2, 1})
		p.str("module.transposed").tensor("0", "FloatStorage", 0, []int{3, 2}, []int{1, 3})
		p.str("module.half").tensor("1", "HalfStorage", 0, []int{2}, []int{1})
		p.str("extra").num(7)
	})
	tensors, err := parsePTH(zipped(t, object, storages))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float32{"w": {2, 3, 4, 5}, "transposed": {1, 4, 2, 5, 3, 6}, "half": {1, -2}}
	if len(tensors) != len(want) {
		t.Fatalf("%d tensors, want %d", len(tensors), len(want))
	}
	for _, tensor := range tensors {
		got, err := tensor.Float32()
		if err != nil || !slices.Equal(got, want[tensor.Name]) {
			t.Errorf("%s: %v, want %v (%v)", tensor.Name, got, want[tensor.Name], err)
		}
	}
}

// TestLegacyPTH is the form before PyTorch 1.6: pickles one after the other,
// then the storages.
func TestLegacyPTH(t *testing.T) {
	file := legacy(checkpointOf(func(p *pickler) {
		p.str("w").tensor("77", "FloatStorage", 0, []int{3}, []int{1})
	}), "77", floats(1, 2, 3), 3)
	tensors, err := parsePTH(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tensors[0].Float32()
	if err != nil || !slices.Equal(got, []float32{1, 2, 3}) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := parsePTH(file[:len(file)-1]); err == nil {
		t.Error("a file that ends early is no error")
	}
}

func legacy(object []byte, key string, storage []byte, elements int) []byte {
	var p pickler
	p.op("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.") // the magic number, little endian
	p.op("\x80\x02M\xe9\x03.")
	p.op("\x80\x02}(").str("little_endian").op("\x88u.")
	p.Write(object)
	p.op("\x80\x02](").str(key).op("e.")
	p.Write(binary.LittleEndian.AppendUint64(nil, uint64(elements)))
	p.Write(storage)
	return p.Bytes()
}

func TestPTHHostile(t *testing.T) {
	storages := map[string][]byte{"0": floats(1, 2)}
	tensor := func(offset int, shape, stride []int) []byte {
		return checkpointOf(func(p *pickler) { p.str("w").tensor("0", "FloatStorage", offset, shape, stride) })
	}
	for name, c := range map[string]struct {
		object []byte
		says   string
	}{
		"offset beyond":   {tensor(5, []int{1}, []int{1}), "tensor w"},
		"shape beyond":    {tensor(0, []int{3}, []int{1}), "tensor w"},
		"stride beyond":   {tensor(0, []int{2}, []int{1 << 30}), "tensor w"},
		"expanded":        {tensor(0, []int{1 << 20, 2}, []int{0, 1}), "tensor w"},
		"negative":        {tensor(0, []int{-1}, []int{1}), "no sense"},
		"missing storage": {checkpointOf(func(p *pickler) { p.str("w").tensor("9", "FloatStorage", 0, []int{1}, []int{1}) }), "missing"},
		"unknown class": {checkpointOf(func(p *pickler) {
			p.str("w").global("evil", "Thing").op(")R")
		}), "tensor w: depends on class evil.Thing"},
		"unknown storage": {checkpointOf(func(p *pickler) {
			p.str("w").tensor("0", "QUInt8Storage", 0, []int{1}, []int{1})
		}), "QUInt8Storage"},
		"os.system":  {[]byte("\x80\x02cposix\nsystem\n(X\x02\x00\x00\x00lstR."), "posix.system"},
		"no tensors": {checkpointOf(func(*pickler) {}), "no tensors"},
		"opcode":     {[]byte("\x80\x02\xff."), "opcode"},
		"cut":        {[]byte("\x80\x02}(X\xff\xff\xff\x7f"), "early"},
		"stack":      {[]byte("\x80\x02R."), "stack"},
		"memo":       {[]byte("\x80\x02h\x07."), "memo"},
	} {
		_, err := parsePTH(zipped(t, c.object, storages))
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, want one line with %q", name, err, c.says)
		}
	}
	for name, data := range map[string][]byte{"text": []byte("hello"), "empty zip": zipped(t, nil, nil)[:30], "nothing": nil} {
		if _, err := parsePTH(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestRealPTH reads the reference's official-format checkpoints.
func TestRealPTH(t *testing.T) {
	for name, count := range map[string]int{"mini_deit": 182, "mini_lvvit": 234} {
		path := filepath.Join("..", "..", "shared", "golden", name, name+".pth")
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("DYNVIT_REQUIRE") != "" {
				t.Fatal(err)
			}
			t.Skip("needs ../shared/golden:", err)
		}
		f, err := ReadPTH(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Verify(); err != nil || len(f.Names()) != count {
			t.Errorf("%s: %d tensors, want %d (%v)", name, len(f.Names()), count, err)
		}
	}
}

func FuzzPTH(f *testing.F) {
	object := checkpointOf(func(p *pickler) {
		p.str("module.w").tensor("0", "FloatStorage", 1, []int{2, 2}, []int{2, 1})
	})
	f.Add(zipped(f, object, map[string][]byte{"0": floats(1, 2, 3, 4, 5)}))
	f.Add(legacy(object, "0", floats(1, 2, 3, 4, 5), 5))
	f.Add(object)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, file := range [][]byte{data, zipped(t, data, map[string][]byte{"0": floats(1, 2)})} {
			tensors, err := parsePTH(file)
			if err != nil {
				continue
			}
			for _, tensor := range tensors {
				if n, ok := elements(tensor.Shape, tensor.DType.Size()); !ok || n != tensor.Len() || len(tensor.Data) > len(file) {
					t.Fatalf("tensor %s: %d elements for shape %v", tensor.Name, tensor.Len(), tensor.Shape)
				}
			}
		}
	})
}
