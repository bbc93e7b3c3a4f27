package modelfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// raw builds a file from a header and a number of data bytes.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestParseHostile(t *testing.T) {
	entry := func(name, shape string, from, to int) string {
		return fmt.Sprintf(`%q:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, name, shape, from, to)
	}
	good := "{" + entry("a", "[2]", 0, 8) + "," + entry("b", "[]", 8, 12) + "}"
	if f, err := Parse(raw(good, 12)); err != nil || len(f.Names()) != 2 {
		t.Fatal(err)
	}
	longHeader := raw(good, 12)
	binary.LittleEndian.PutUint64(longHeader, 1<<40)
	for name, data := range map[string][]byte{
		"empty":             {},
		"seven bytes":       make([]byte, 7),
		"header too long":   longHeader,
		"header cut":        raw(good, 12)[:20],
		"data cut":          raw(good, 11),
		"trailing byte":     raw(good, 13),
		"hole":              raw("{"+entry("a", "[1]", 0, 4)+","+entry("b", "[1]", 8, 12)+"}", 12),
		"overlap":           raw("{"+entry("a", "[2]", 0, 8)+","+entry("b", "[2]", 4, 12)+"}", 12),
		"backwards":         raw("{"+entry("a", "[1]", 4, 0)+"}", 4),
		"beyond":            raw("{"+entry("a", "[4]", 0, 16)+"}", 4),
		"shape differs":     raw("{"+entry("a", "[3]", 0, 8)+"}", 8),
		"shape overflows":   raw("{"+entry("a", "[4294967296,4294967296,4294967296]", 0, 0)+"}", 0),
		"negative shape":    raw("{"+entry("a", "[-1,-2]", 0, 8)+"}", 8),
		"fraction":          raw("{"+entry("a", "[1.5]", 0, 4)+"}", 4),
		"duplicate":         raw("{"+entry("a", "[1]", 0, 4)+","+entry("a", "[1]", 4, 8)+"}", 8),
		"duplicate key":     raw(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"unknown key":       raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`, 4),
		"missing key":       raw(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4),
		"unknown type":      raw(`{"a":{"dtype":"F8","shape":[4],"data_offsets":[0,4]}}`, 4),
		"three offsets":     raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, 4),
		"metadata number":   raw(`{"__metadata__":{"x":1}}`, 0),
		"metadata repeated": raw(`{"__metadata__":{"x":"1","x":"2"}}`, 0),
		"two objects":       raw(`{}{}`, 0),
		"no object":         raw(`[]`, 0),
		"empty name":        raw("{"+entry("", "[1]", 0, 4)+"}", 4),
	} {
		if _, err := Parse(data); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line", name, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, empty, filepath.Join(dir, "none")} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v does not name the file", path, err)
		}
	}
}

// TestWriteRead: every type comes back as written, equal content gives equal
// bytes, and a failed write leaves nothing.
func TestWriteRead(t *testing.T) {
	data := []float32{0, -1.5, 3.25, 100, -0.007, 65504}
	var tensors []Tensor
	for _, as := range []DType{F32, F16, BF16, I8} {
		ts, err := FromFloat32("t."+string(as), data, []int{2, 3}, as)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, ts...)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	if err := Write(path, map[string]string{"b": "2", "a": "1"}, tensors); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(tensors)
	again, err := Marshal(map[string]string{"a": "1", "b": "2"}, tensors)
	if err != nil {
		t.Fatal(err)
	}
	if written, _ := os.ReadFile(path); !bytes.Equal(written, again) {
		t.Error("equal content gives other bytes")
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Meta["a"] != "1" || len(f.SHA256()) != 64 {
		t.Errorf("metadata %v, checksum %q", f.Meta, f.SHA256())
	}
	for as, tolerance := range map[DType]float64{F32: 0, F16: 1.0 / 2048, BF16: 1.0 / 256, I8: 1.0 / 254} {
		got, shape, err := f.Float32("t." + string(as))
		if err != nil || !slices.Equal(shape, []int{2, 3}) {
			t.Fatal(as, shape, err)
		}
		for i, v := range got {
			unit := math.Abs(float64(data[i]))
			if as == I8 { // half a step of the row's largest value
				unit = math.Abs(float64(slices.Max(data[i/3*3 : i/3*3+3])))
			}
			if math.Abs(float64(v-data[i])) > tolerance*unit {
				t.Errorf("%s element %d: %v, want %v", as, i, v, data[i])
			}
		}
	}
	if err := Write(filepath.Join(dir, "bad"), nil, []Tensor{{Name: "x", DType: F32, Shape: []int{2}, Data: make([]byte, 4)}}); err == nil {
		t.Error("a tensor that does not fit its shape was written")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func TestNaN(t *testing.T) {
	nan := float32(math.NaN())
	data, err := Marshal(nil, []Tensor{{"w", F32, []int{1}, binary.LittleEndian.AppendUint32(nil, math.Float32bits(nan))}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Float32("w"); err == nil || !strings.Contains(err.Error(), "tensor w") {
		t.Errorf("error %v does not name the tensor", err)
	}
	if _, err := FromFloat32("w", []float32{1e6}, []int{1}, F16); err == nil {
		t.Error("a value beyond half's range was written as half")
	}
}

// TestHalves: all 65,536 halves widen to the value that their fields say, and
// round back to themselves.
func TestHalves(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got := halfToFloat(h)
		exp, man := int(h>>10&31), float64(h&1023)
		want := math.Ldexp(1+man/1024, exp-15)
		switch {
		case exp == 0:
			want = math.Ldexp(man, -24)
		case exp == 31 && man == 0:
			want = math.Inf(1)
		case exp == 31:
			want = math.NaN()
		}
		if h>>15 == 1 {
			want = -want
		}
		if math.IsNaN(want) {
			if got == got {
				t.Fatalf("%#04x: %v, want NaN", h, got)
			}
			continue
		}
		if float64(got) != want {
			t.Fatalf("%#04x: %v, want %v", h, got, want)
		}
		if back := floatToHalf(got); back != h {
			t.Fatalf("%#04x: rounds to %#04x", h, back)
		}
		if exp == 31 || h == 0x7bff || h == 0xfbff {
			continue
		}
		// Between two halves the nearer wins, a tie goes to the even one.
		next := halfToFloat(h + 1)
		middle := (got + next) / 2
		even := h + h&1
		if floatToHalf(middle) != even {
			t.Fatalf("tie above %#04x does not go to even", h)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}}`, 8))
	f.Add(raw(`{}`, 0))
	f.Add(raw(`{"a":{"dtype":"I8","shape":[1,2],"data_offsets":[0,2]},"a.scale":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, 6))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		var tensors []Tensor
		for _, name := range file.Names() {
			tensor, _ := file.Tensor(name)
			if n, ok := elements(tensor.Shape, tensor.DType.Size()); !ok || n != tensor.Len() {
				t.Fatalf("tensor %s: %d elements for shape %v", name, tensor.Len(), tensor.Shape)
			}
			tensors = append(tensors, tensor)
			file.Float32(name)
		}
		again, err := Marshal(file.Meta, tensors)
		if err != nil {
			t.Fatal("does not write back:", err)
		}
		if other, err := Parse(again); err != nil || !slices.Equal(other.Names(), file.Names()) {
			t.Fatal("does not read back:", err)
		}
	})
}
