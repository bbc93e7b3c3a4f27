package modelfile

import (
	"bytes"
	"crypto/sha256"
	"dynvit/internal/needs"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// raw builds a file from a header and a number of data bytes.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

// f32 is a header's entry.
func f32(name, shape string, from, to int) string {
	return fmt.Sprintf(`"%s":{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, name, shape, from, to)
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		file  []byte
		names []string
	}{
		"nothing":           {raw(`{}`, 0), nil},
		"metadata alone":    {raw(`{"__metadata__":{"k":"v"}}`, 0), nil},
		"scalar":            {raw("{"+f32("a", "[]", 0, 4)+"}", 4), []string{"a"}},
		"any order":         {raw("{"+f32("b", "[2]", 4, 12)+","+f32("a", "[1]", 0, 4)+"}", 12), []string{"a", "b"}},
		"padded":            {raw("{"+f32("a", "[1]", 0, 4)+"}   \n ", 4), []string{"a"}},
		"empty tensors":     {raw("{"+f32("c", "[0]", 4, 4)+","+f32("b", "[2,0]", 4, 4)+","+f32("a", "[1]", 0, 4)+"}", 4), []string{"a", "b", "c"}},
		"empty and huge":    {raw("{"+f32("a", fmt.Sprintf("[%d,0]", math.MaxInt), 0, 0)+"}", 0), []string{"a"}},
		"escapes":           {raw("{"+f32(`\u0061é`, "[1]", 0, 4)+"}", 4), []string{"aé"}},
		"keys in any way":   {raw(`{"a":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}}`, 1), []string{"a"}},
		"as many as axes":   {raw("{"+f32("a", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 0, 4)+"}", 4), []string{"a"}},
		"begins at the 8th": {raw(`{"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}}`, 3), []string{"a"}},
	} {
		f, err := Parse(c.file)
		if err != nil || !slices.Equal(f.Names(), c.names) || f.Meta == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, n := range c.names {
			if tensor, ok := f.Tensor(n); !ok || !f.Has(n) || tensor.Name != n {
				t.Errorf("%s: tensor %s is not found", name, n)
			}
		}
	}
}

func TestParseHostile(t *testing.T) {
	good := "{" + f32("a", "[2]", 0, 8) + "," + f32("b", "[]", 8, 12) + "}"
	length := func(n uint64) []byte {
		file := raw(good, 12)
		binary.LittleEndian.PutUint64(file, n)
		return file
	}
	one := func(entry string) []byte { return raw(`{"a":`+entry+`}`, 4) }
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"empty":              {nil, "0 bytes hold no header"},
		"seven bytes":        {make([]byte, 7), "7 bytes hold no header"},
		"length alone":       {make([]byte, 8), "does not begin with {"},
		"length of all ones": {length(math.MaxUint64), "header of 18446744073709551615 bytes in a file of"},
		"length beyond":      {length(uint64(len(good) + 13)), "header of"},
		"length too small":   {length(uint64(len(good) - 1)), "EOF"},
		"header cut":         {raw(good, 12)[:20], "header of"},
		"data cut":           {raw(good, 11), "tensor b: bytes 8 to 12 of 11"},
		"no data":            {raw(good, 0), "tensor a: bytes 0 to 8 of 0"},
		"trailing byte":      {raw(good, 13), "1 bytes after the last tensor"},
		"only data":          {raw(`{}`, 1), "1 bytes after the last tensor"},
		"hole":               {raw("{"+f32("a", "[1]", 0, 4)+","+f32("b", "[1]", 8, 12)+"}", 12), "tensor b: begins at 8 and leaves a hole from 4"},
		"hole at the start":  {raw("{"+f32("a", "[1]", 4, 8)+"}", 8), "tensor a: begins at 4 and leaves a hole from 0"},
		"overlap":            {raw("{"+f32("a", "[2]", 0, 8)+","+f32("b", "[2]", 4, 12)+"}", 12), "tensor b: begins at 4, within"},
		"same bytes":         {raw("{"+f32("a", "[1]", 0, 4)+","+f32("b", "[1]", 0, 4)+"}", 4), "tensor b: begins at 0, within"},
		"empty within":       {raw("{"+f32("a", "[2]", 0, 8)+","+f32("b", "[0]", 4, 4)+"}", 8), "tensor b: begins at 4, within"},
		"backwards":          {raw("{"+f32("a", "[1]", 4, 0)+"}", 4), "run backwards"},
		"beyond":             {raw("{"+f32("a", "[4]", 0, 16)+"}", 4), "bytes 0 to 16 of 4"},
		"shape differs":      {raw("{"+f32("a", "[3]", 0, 8)+"}", 8), "8 bytes for shape [3] of F32"},
		"shape overflows":    {raw("{"+f32("a", "[4294967296,4294967296,4294967296]", 0, 0)+"}", 0), "overflows"},
		"bytes overflow":     {raw("{"+f32("a", "[4611686018427387904]", 0, 0)+"}", 0), "overflows"},
		"wraps to four":      {raw("{"+f32("a", "[4611686018427387905]", 0, 4)+"}", 4), "overflows"},
		"negative shape":     {raw("{"+f32("a", "[-1,-2]", 0, 8)+"}", 8), "whole number"},
		"negative offset":    {raw("{"+f32("a", "[1]", -4, 0)+"}", 0), "whole number"},
		"fraction":           {raw("{"+f32("a", "[1.5]", 0, 4)+"}", 4), "whole number"},
		"exponent":           {raw("{"+f32("a", "[1e0]", 0, 4)+"}", 4), "whole number"},
		"beyond 64 bits":     {raw("{"+f32("a", "[18446744073709551617]", 0, 4)+"}", 4), "whole number"},
		"text for a number":  {raw("{"+f32("a", `["1"]`, 0, 4)+"}", 4), "whole number"},
		"many axes":          {raw("{"+f32("a", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 0, 4)+"}", 4), "more than 16 elements"},
		"duplicate":          {raw("{"+f32("a", "[1]", 0, 4)+","+f32("a", "[1]", 4, 8)+"}", 8), `key "a" comes twice`},
		"duplicate, escaped": {raw("{"+f32("a", "[1]", 0, 4)+","+f32(`\u0061`, "[1]", 4, 8)+"}", 8), `key "a" comes twice`},
		"duplicate dtype":    {one(`{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}`), `key "dtype" comes twice`},
		"duplicate shape":    {one(`{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,4]}`), `key "shape" comes twice`},
		"metadata repeated":  {raw(`{"__metadata__":{"x":"1","x":"2"}}`, 0), `key "x" comes twice`},
		"metadata twice":     {raw(`{"__metadata__":{},"__metadata__":{}}`, 0), "comes twice"},
		"metadata number":    {raw(`{"__metadata__":{"x":1}}`, 0), "want a string"},
		"metadata null":      {raw(`{"__metadata__":null}`, 0), "found null"},
		"metadata list":      {raw(`{"__metadata__":["x"]}`, 0), "want {"},
		"metadata nested":    {raw(`{"__metadata__":{"x":{"y":"z"}}}`, 0), "want a string"},
		"unknown key":        {one(`{"dtype":"F32","shape":[1],"x":1}`), "unknown key"},
		"fourth key":         {one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}`), "more than 3 keys"},
		"missing offsets":    {one(`{"dtype":"F32","shape":[1]}`), "want dtype, shape"},
		"missing shape":      {one(`{"dtype":"F32","data_offsets":[0,4]}`), "want dtype, shape"},
		"missing dtype":      {one(`{"shape":[1],"data_offsets":[0,4]}`), "want dtype, shape"},
		"unknown type":       {one(`{"dtype":"F8","shape":[4],"data_offsets":[0,4]}`), `type "F8" is not known`},
		"one offset":         {one(`{"dtype":"F32","shape":[1],"data_offsets":[4]}`), "two data_offsets"},
		"three offsets":      {one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}`), "more than 2 elements"},
		"entry null":         {one(`null`), "found null"},
		"entry number":       {one(`1`), "want {"},
		"empty name":         {raw("{"+f32("", "[1]", 0, 4)+"}", 4), "a name is empty"},
		"line in a name":     {raw("{"+f32(`a\nb`, "[1]", 0, 4)+"}", 4), "control characters"},
		"endless name":       {raw("{"+f32(strings.Repeat("n", 1<<16), "[1]", 0, 4)+"}", 4), "longer than 512"},
		"no UTF-8":           {raw("{"+f32("\xff", "[1]", 0, 4)+"}", 4), "no UTF-8"},
		"two objects":        {raw(`{}{}`, 0), "after the end"},
		"more text":          {raw(`{}x`, 0), "invalid character"},
		"zeros behind":       {raw("{}\x00\x00", 0), "invalid character"},
		"a list":             {raw(`[]`, 0), "does not begin with {"},
		"space before":       {raw(` {}`, 0), "does not begin with {"},
		"comma":              {raw(`{"__metadata__":{"a":"b",}}`, 0), "invalid character"},
		"deep":               {one(strings.Repeat("[", 1<<20)), "want {"},
	} {
		_, err := Parse(c.file)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
			t.Errorf("%s: error %.400v, want one line with %q", name, err, c.says)
		}
	}
}

// TestParseCounts: entries are bounded in number, not only by the header's length.
func TestParseCounts(t *testing.T) {
	var tensors, meta strings.Builder
	for i := range maxTensors + 2 {
		fmt.Fprintf(&tensors, ",%s", f32(fmt.Sprint(i), "[0]", 0, 0))
	}
	for i := range maxMeta + 1 {
		fmt.Fprintf(&meta, `,"%d":""`, i)
	}
	for name, header := range map[string]string{
		"tensors":  "{" + tensors.String()[1:] + "}",
		"metadata": `{"__metadata__":{` + meta.String()[1:] + "}}",
	} {
		if _, err := Parse(raw(header, 0)); err == nil || !strings.Contains(err.Error(), "more than 1000") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestOpenErrors: both readers name the file, whatever it is.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string][]byte{"empty": nil, "short": {1, 2, 3}, "text": []byte("not a model file at all")} {
		if err := os.WriteFile(in(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, in("empty"), in("short"), in("text"), in("pipe"), in("none"), "/dev/null"} {
		for _, open := range []func(string) (*File, error){Open, func(path string) (*File, error) { return ReadPTH(path, "") }} {
			if _, err := open(path); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %v does not name the file in one line", path, err)
			}
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	tensors, err := FromFloat32("w", []float32{1, 2}, []int{2}, F32)
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(path, map[string]string{"k": "v"}, tensors); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(written)
	if f.SHA256() != hex.EncodeToString(sum[:]) || !maps.Equal(f.Meta, map[string]string{"k": "v"}) {
		t.Errorf("checksum %s, metadata %v", f.SHA256(), f.Meta)
	}
	if _, _, err := f.Float32("v"); err == nil || err.Error() != "tensor v: missing" {
		t.Errorf("a missing tensor gives %v", err)
	}
	if err := f.Verify(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error("second Close:", err)
	}
	if f.SHA256() != hex.EncodeToString(sum[:]) || len(f.Names()) != 0 {
		t.Error("after Close the checksum is gone, or tensors are not")
	}
}

// TestMemory: a tensor lies in the memory that is offered, where there is enough.
func TestMemory(t *testing.T) {
	f := reparse(t, []Tensor{{"w", F32, []int{2}, floats(1, 2)}})
	memory := []float32{7, 7, 7}
	data, _, err := f.Float32In(memory, "w")
	if err != nil || !slices.Equal(memory, []float32{1, 2, 7}) || &data[0] != &memory[0] || len(data) != 2 {
		t.Errorf("%v in %v, %v", data, memory, err)
	}
	if data, _, err = f.Float32In(memory[2:], "w"); err != nil || !slices.Equal(data, []float32{1, 2}) || memory[2] != 7 {
		t.Errorf("%v beside %v, %v", data, memory, err)
	}
}

// TestNotFinite: damage is found and named, at each precision.
func TestNotFinite(t *testing.T) {
	for name, tensor := range map[string]Tensor{
		"NaN":             {"w", F32, []int{2}, floats(1, float32(math.NaN()))},
		"Inf":             {"w", F32, []int{2}, floats(1, float32(math.Inf(-1)))},
		"half NaN":        {"w", F16, []int{2}, []byte{0, 0, 0, 0x7e}},
		"bf16 Inf":        {"w", BF16, []int{2}, []byte{0, 0, 0x80, 0x7f}},
		"a double beyond": {"w", F64, []int{2}, binary.LittleEndian.AppendUint64(make([]byte, 8), math.Float64bits(1e300))},
	} {
		f := reparse(t, []Tensor{tensor})
		if _, _, err := f.Float32("w"); err == nil || !strings.Contains(err.Error(), "tensor w: element 1 is ") {
			t.Errorf("%s: error %v", name, err)
		}
		if err := f.Verify(); err == nil || !strings.Contains(err.Error(), "tensor w") {
			t.Errorf("%s: verifies with %v", name, err)
		}
	}
}

// TestRealFiles: the reference's files are sound, and come back from Write with
// every byte of their tensors.
func TestRealFiles(t *testing.T) {
	for path, count := range map[string]int{
		"models/deit_tiny_patch16_224.safetensors": 152,
		"models/imagenette_vit128.safetensors":     152,
		"golden/deit_tiny/predictors.safetensors":  30,
		"golden/mini_train/teacher.safetensors":    152,
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := Open(needs.Shared(t, filepath.FromSlash(path)))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Verify(); err != nil || len(f.Names()) != count {
				t.Errorf("%d tensors, want %d (%v)", len(f.Names()), count, err)
			}
			again := filepath.Join(t.TempDir(), "again")
			if err := Write(again, f.Meta, tensorsOf(f)); err != nil {
				t.Fatal(err)
			}
			g, err := Open(again)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			if !same(f, g) {
				t.Error("comes back different")
			}
		})
	}
}

func tensorsOf(f *File) (tensors []Tensor) {
	for _, name := range f.Names() {
		tensor, _ := f.Tensor(name)
		tensors = append(tensors, tensor)
	}
	return tensors
}

// same compares two files' content, whatever the order of their bytes.
func same(f, g *File) bool {
	return maps.Equal(f.Meta, g.Meta) && slices.EqualFunc(tensorsOf(f), tensorsOf(g), func(a, b Tensor) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
	})
}

func FuzzParse(f *testing.F) {
	f.Add(raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}}`, 8))
	f.Add(raw(`{}`, 0))
	f.Add(raw(`{"a":{"dtype":"I8","shape":[1,2],"data_offsets":[0,2]},"a.scale":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, 6))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q has lines", err)
			}
			return
		}
		for _, tensor := range tensorsOf(file) {
			if n, ok := elements(tensor.Shape, tensor.DType.Size()); !ok || n != tensor.Len() {
				t.Fatalf("tensor %s: %d elements for shape %v", tensor.Name, tensor.Len(), tensor.Shape)
			}
			if v, _, err := file.Float32(tensor.Name); err == nil && len(v) != tensor.Len() {
				t.Fatalf("tensor %s: %d values of %d", tensor.Name, len(v), tensor.Len())
			}
		}
		written, err := marshal(file.Meta, tensorsOf(file))
		if err != nil {
			t.Fatal("does not write back:", err)
		}
		other, err := Parse(written)
		if err != nil || !same(file, other) {
			t.Fatal("comes back different:", err)
		}
		if again, err := marshal(other.Meta, tensorsOf(other)); err != nil || !bytes.Equal(written, again) {
			t.Fatal("equal content gives other bytes:", err)
		}
	})
}
