package ptx

import (
	"fmt"
	"strconv"
	"strings"
)

// Slots that every thread begins with: what it is told of itself.
var specials = []string{
	"%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z",
	"%ctaid.x", "%ctaid.y", "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid",
}

// building is a kernel that is being read.
type building struct {
	Kernel
	slots     map[string]int32 // of registers, specials, parameters and arrays
	constants map[uint64]int32
	labels    map[string]int
	jumps     map[int]string // instruction to the label that it goes to
}

func newBuilding(name string) *building {
	b := &building{Kernel: Kernel{Name: name}, slots: map[string]int32{}, constants: map[uint64]int32{},
		labels: map[string]int{}, jumps: map[int]string{}}
	for _, s := range specials {
		b.slot(s, 0)
	}
	return b
}

// slot makes a slot with a name and what it holds first.
func (b *building) slot(name string, v uint64) int32 {
	i := int32(len(b.first))
	b.slots[name] = i
	b.first = append(b.first, v)
	return i
}

func (b *building) constant(v uint64) int32 {
	i, ok := b.constants[v]
	if !ok {
		i = int32(len(b.first))
		b.first = append(b.first, v)
		b.constants[v] = i
	}
	return i
}

func (b *building) parameter(name string, k kind) {
	b.params = append(b.params, k)
	b.slot("["+name+"]", 0)
}

// most registers of a kind, and bytes of an array, that are taken.
const most = 1 << 20

func (b *building) registers(m []string, s string) error {
	if m == nil {
		return fmt.Errorf("%q", s)
	}
	if _, err := parseKind(m[1]); err != nil {
		return err
	}
	if m[3] == "" {
		b.slot(m[2], 0)
		return nil
	}
	n, err := strconv.Atoi(m[3])
	if err != nil || n > most {
		return fmt.Errorf("%q", s)
	}
	for i := range n {
		b.slot(m[2]+strconv.Itoa(i), 0)
	}
	return nil
}

func (b *building) array(m []string, s string) error {
	if m == nil {
		return fmt.Errorf("%q", s)
	}
	align, err1 := strconv.Atoi(m[1])
	size, err2 := strconv.Atoi(m[3])
	if err1 != nil || err2 != nil || align < 1 || align > 1024 || size > most {
		return fmt.Errorf("%q", s)
	}
	at := (b.Shared + align - 1) / align * align
	b.Shared = at + size
	b.slot(m[2], uint64(at))
	return nil
}

// operand is the slot of a register, a name or a number.
func (b *building) operand(s string) (int32, error) {
	if i, ok := b.slots[s]; ok {
		return i, nil
	}
	v, err := number(s)
	if err != nil {
		return 0, fmt.Errorf("operand %q", s)
	}
	return b.constant(v), nil
}

// number is a literal: 12, -1, 0x1f, 0f3F800000 (a float32's bits).
func number(s string) (uint64, error) {
	if len(s) == 10 && (s[:2] == "0f" || s[:2] == "0F") {
		return strconv.ParseUint(s[2:], 16, 32)
	}
	if strings.HasPrefix(s, "-") {
		v, err := strconv.ParseInt(s, 0, 64)
		return uint64(v), err
	}
	return strconv.ParseUint(s, 0, 64)
}

// address is an operand in brackets: a base and bytes behind it.
func (b *building) address(s string) (base int32, offset int64, err error) {
	in, ok := strings.CutPrefix(s, "[")
	in, closed := strings.CutSuffix(in, "]")
	if !ok || !closed {
		return 0, 0, fmt.Errorf("address %q", s)
	}
	name, more, plus := strings.Cut(in, "+")
	if plus {
		if offset, err = strconv.ParseInt(more, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("address %q", s)
		}
	}
	base, err = b.operand(strings.TrimSpace(name))
	return base, offset, err
}

// list is an operand in braces, or one without.
func (b *building) list(s string) ([]int32, error) {
	in, braces := strings.CutPrefix(s, "{")
	if braces {
		in = strings.TrimSuffix(in, "}")
	}
	var l []int32
	for one := range strings.SplitSeq(in, ",") {
		i, err := b.operand(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		l = append(l, i)
	}
	return l, nil
}

// operands splits at the commas that stand outside braces and brackets.
func operands(s string) []string {
	var out []string
	depth, from := 0, 0
	for i, r := range s {
		switch r {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[from:i]))
				from = i + 1
			}
		}
	}
	if last := strings.TrimSpace(s[from:]); last != "" {
		out = append(out, last)
	}
	return out
}

// instruction reads one: a guard, a name with its modifiers, operands.
func (b *building) instruction(s string, line int) error {
	in := instruction{guard: -1, line: line, code: strings.Join(strings.Fields(s), " ")}
	rest := s
	if g, ok := strings.CutPrefix(rest, "@"); ok {
		name, after, _ := strings.Cut(g, " ")
		if tab, more, ok := strings.Cut(g, "\t"); ok && len(tab) < len(name) {
			name, after = tab, more
		}
		name, in.unless = strings.CutPrefix(name, "!")
		i, ok := b.slots[name]
		if !ok {
			return fmt.Errorf("guard %q", name)
		}
		in.guard, rest = i, strings.TrimSpace(after)
	}
	end := strings.IndexAny(rest, " \t")
	if end < 0 {
		end = len(rest)
	}
	name := strings.Split(rest[:end], ".")
	if err := b.decode(&in, name[0], name[1:], operands(rest[end:])); err != nil {
		return fmt.Errorf("%s: %w", in.code, err)
	}
	b.program = append(b.program, in)
	return nil
}

// finish sets the targets of jumps.
func (b *building) finish() (*Kernel, error) {
	for i, name := range b.jumps {
		to, ok := b.labels[name]
		if !ok {
			return nil, fmt.Errorf("%s: no label %s", b.Name, name)
		}
		b.program[i].target = to
	}
	b.program = append(b.program, instruction{guard: -1, step: results(returned), code: "the end"})
	return &b.Kernel, nil
}
