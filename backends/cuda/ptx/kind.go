package ptx

import (
	"fmt"
	"strconv"
)

// kind is a type of the ISA's: s32, u64, f32, b16, pred, bf16.
type kind struct {
	of   byte // 's' signed, 'u' unsigned, 'b' bits, 'f' float, 'h' bfloat16, 'p' predicate
	bits int
}

func parseKind(s string) (kind, error) {
	switch s {
	case "pred":
		return kind{'p', 1}, nil
	case "bf16":
		return kind{'h', 16}, nil
	}
	if len(s) > 1 {
		bits, err := strconv.Atoi(s[1:])
		known := s[0] == 's' || s[0] == 'u' || s[0] == 'b' || s[0] == 'f' && bits >= 16
		if err == nil && known && (bits == 8 || bits == 16 || bits == 32 || bits == 64) {
			return kind{s[0], bits}, nil
		}
	}
	return kind{}, fmt.Errorf("unknown type %q", s)
}

func (k kind) bytes() int { return k.bits / 8 }

// mask keeps a value's bits.
func (k kind) mask() uint64 { return ^uint64(0) >> (64 - k.bits) }

// signed is a value's low bits as a number with a sign.
func (k kind) signed(v uint64) int64 { return int64(v<<(64-k.bits)) >> (64 - k.bits) }

// integer is a value as the type's number: with its sign spread where it has one.
func (k kind) integer(v uint64) int64 {
	if k.of == 's' {
		return k.signed(v)
	}
	return int64(v & k.mask())
}

// less compares numbers.
func (k kind) less(x, y uint64) bool {
	if k.of == 's' {
		return k.signed(x) < k.signed(y)
	}
	return x&k.mask() < y&k.mask()
}

func (k kind) isInteger() bool { return k.of == 's' || k.of == 'u' || k.of == 'b' }
