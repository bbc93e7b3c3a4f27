package kernels_test

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/cuda/kernels"
)

// TestFor: a device gets the newest target that is no newer than itself.
func TestFor(t *testing.T) {
	for _, c := range []struct {
		major, minor int
		want         string
	}{
		{3, 5, ""}, {5, 2, ""}, {5, 3, "sm_53"}, {6, 1, "sm_53"}, {7, 0, "sm_53"}, {7, 2, "sm_72"}, {7, 5, "sm_72"},
		{8, 0, "sm_80"}, {8, 7, "sm_80"}, {9, 0, "sm_80"}, {12, 1, "sm_80"},
	} {
		if got, ok := kernels.For(c.major, c.minor); got.Name != c.want || ok != (c.want != "") {
			t.Errorf("%d.%d gets %q, want %q", c.major, c.minor, got.Name, c.want)
		}
	}
}

// TestPTX: each target has all kernels, of the version that the oldest drivers read.
func TestPTX(t *testing.T) {
	versions := map[string]string{"sm_53": "6.5", "sm_72": "6.5", "sm_80": "7.4"}
	for _, target := range kernels.Targets() {
		all := ""
		for _, family := range kernels.Families() {
			text := string(target.PTX(family))
			if !strings.Contains(text, "\n.version "+versions[target.Name]+"\n.target "+target.Name+"\n") {
				t.Errorf("%s %s: not of version %s", target.Name, family, versions[target.Name])
			}
			if strings.Contains(text, "_INTERNAL_") {
				t.Errorf("%s %s: has names that change from run to run", target.Name, family)
			}
			all += text
		}
		names := []string{"attention_scores", "layernorm", "mean_half", "max_rows", "topk", "gather", "unfold", "resize_first", "resize_second"}
		for _, p := range target.Precisions {
			names = append(names, "gemm_"+p.String())
			if p != backends.Int8 {
				names = append(names, "attention_"+p.String())
			}
		}
		for _, name := range names {
			if !strings.Contains(all, ".entry "+name+"(") {
				t.Errorf("%s: no kernel %s", target.Name, name)
			}
		}
	}
}

// TestPack: every number is where gemm looks for it, rounded, and all else is zero.
func TestPack(t *testing.T) {
	const out, in = 67, 35
	w := make([]float32, out*in)
	for i := range w {
		w[i] = float32(i%517)/3 - 80
	}
	w[3], w[5], w[40] = 1e6, 3e-8, 65520
	for _, p := range []backends.Precision{backends.F32, backends.BF16, backends.F16, backends.Int8} {
		packed := kernels.Pack(w, out, in, p)
		size := kernels.Size(p)
		strip := (in*size + 63) / 64 * 4096
		if len(packed.Data) != 2*strip {
			t.Fatalf("%v: %d bytes, want %d", p, len(packed.Data), 2*strip)
		}
		seen := make([]bool, len(packed.Data))
		for o := range out {
			codes := make([]int8, in)
			scale, _ := backends.QuantizeRow(codes, w[o*in:][:in])
			sum := int32(0)
			for i := range in {
				at := o/64*strip + i*size/64*4096 + o%64*64 + i*size%64
				for j := range size {
					seen[at+j] = true
				}
				got, want := number(packed.Data[at:], p), p.Round(w[o*in+i])
				if p == backends.Int8 {
					want = float32(codes[i])
					sum += int32(codes[i])
				}
				if got != want {
					t.Fatalf("%v [%d, %d] is %v, want %v", p, o, i, got, want)
				}
			}
			if p == backends.Int8 && (packed.Scale[o] != scale || packed.Sums[o] != sum) {
				t.Errorf("output %d has scale %v and sum %d, want %v and %d", o, packed.Scale[o], packed.Sums[o], scale, sum)
			}
		}
		for i, b := range packed.Data {
			if !seen[i] && b != 0 {
				t.Fatalf("%v: byte %d behind the numbers is %d", p, i, b)
			}
		}
	}
}

// number is one of p in memory.
func number(data []byte, p backends.Precision) float32 {
	switch p {
	case backends.F32:
		return math.Float32frombits(binary.LittleEndian.Uint32(data))
	case backends.BF16:
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(data)) << 16)
	case backends.F16:
		return fromHalf(binary.LittleEndian.Uint16(data))
	}
	return float32(int8(data[0]))
}

func fromHalf(bits uint16) float32 {
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	v := math.Ldexp(fraction, -24)
	if exponent > 0 {
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits>>15 == 1 {
		v = -v
	}
	return float32(v)
}
