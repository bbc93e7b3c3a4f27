package ptx

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxText bounds what is read; the largest of ours has half a megabyte.
const maxText = 16 << 20

// Parse reads a module. Instructions, types and directives that the interpreter doesn't
// know are errors, which name the line.
func Parse(text string) (*Module, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("ptx: %d bytes, more than %d", len(text), maxText)
	}
	p := &parser{}
	for i, line := range strings.Split(text, "\n") {
		p.line = i + 1
		line, _, _ = strings.Cut(line, "//")
		if err := p.take(line); err != nil {
			return nil, fmt.Errorf("ptx: line %d: %w", p.line, err)
		}
	}
	if p.kernel != nil || len(p.module.kernels) == 0 {
		return nil, errors.New("ptx: no kernel, or one that has no end")
	}
	return &p.module, nil
}

// parser goes through the text line by line, statement by statement.
type parser struct {
	module Module
	line   int
	begun  []byte    // a statement that goes on
	kernel *building // nil: between kernels
	head   bool      // between an entry's parentheses
	depth  int       // of braces
}

// take splits a line into statements: what ends in ; or is { or } or a label.
func (p *parser) take(line string) error {
	for _, r := range line {
		switch {
		case p.head && r == ')':
			p.head = false
			if err := p.parameters(); err != nil {
				return err
			}
		case r == '(' && bytes.Contains(p.begun, []byte(".entry")):
			if err := p.entry(); err != nil {
				return err
			}
			p.head = true
		case !p.head && r == '{' && len(bytes.TrimSpace(p.begun)) == 0:
			p.depth++
		case !p.head && r == '}' && len(bytes.TrimSpace(p.begun)) == 0:
			if err := p.close(); err != nil {
				return err
			}
		case !p.head && r == ';':
			if err := p.statement(p.ended()); err != nil {
				return err
			}
		case !p.head && r == ':' && label.Match(bytes.TrimSpace(p.begun)):
			if p.kernel == nil {
				return errors.New("a label outside a kernel")
			}
			p.kernel.labels[p.ended()] = len(p.kernel.program)
		default:
			p.begun = utf8.AppendRune(p.begun, r)
		}
	}
	return p.lineEnds()
}

// ended is what was begun, now whole.
func (p *parser) ended() string {
	s := strings.TrimSpace(string(p.begun))
	p.begun = p.begun[:0]
	return s
}

var (
	label      = regexp.MustCompile(`^\$\w+$`)
	entryName  = regexp.MustCompile(`\.visible\s+\.entry\s+(\w+)\s*$`)
	oneParam   = regexp.MustCompile(`^\.param\s+\.(\w+)\s+(\w+)$`)
	registers  = regexp.MustCompile(`^\.reg\s+\.(\w+)\s+(%\w+)(?:<(\d+)>)?$`)
	array      = regexp.MustCompile(`^\.shared\s+\.align\s+(\d+)\s+\.b8\s+(\w+)\[(\d+)\]$`)
	threadsMax = regexp.MustCompile(`^\.maxntid\s+(\d+),\s*(\d+),\s*(\d+)$`)
)

// lineEnds ends the directives that no semicolon does.
func (p *parser) lineEnds() error {
	s := strings.TrimSpace(string(p.begun))
	name, value, _ := strings.Cut(s, " ")
	switch {
	case name == ".version":
		p.module.Version = strings.TrimSpace(value)
	case name == ".target":
		p.module.Target = strings.TrimSpace(value)
	case name == ".address_size":
		if strings.TrimSpace(value) != "64" {
			return fmt.Errorf("addresses of %s bits", value)
		}
	case name == ".maxntid" && p.kernel != nil:
		m := threadsMax.FindStringSubmatch(s)
		if m == nil {
			return fmt.Errorf("%q", s)
		}
		for i := range p.kernel.Threads {
			p.kernel.Threads[i], _ = strconv.Atoi(m[i+1])
		}
	default:
		p.begun = append(p.begun, ' ')
		return nil
	}
	p.begun = p.begun[:0]
	return nil
}

func (p *parser) entry() error {
	s := p.ended()
	m := entryName.FindStringSubmatch(s)
	if m == nil || p.kernel != nil {
		return fmt.Errorf("%q", s)
	}
	p.kernel = newBuilding(m[1])
	return nil
}

func (p *parser) parameters() error {
	text := p.ended()
	if text == "" {
		return nil
	}
	for one := range strings.SplitSeq(text, ",") {
		m := oneParam.FindStringSubmatch(strings.TrimSpace(one))
		if m == nil {
			return fmt.Errorf("parameter %q", one)
		}
		k, err := parseKind(m[1])
		if err != nil {
			return err
		}
		p.kernel.parameter(m[2], k)
	}
	return nil
}

func (p *parser) close() error {
	p.depth--
	switch {
	case p.depth < 0 || p.kernel == nil:
		return errors.New("a brace too many")
	case p.depth > 0:
		return nil
	}
	k, err := p.kernel.finish()
	p.kernel = nil
	p.module.kernels = append(p.module.kernels, k)
	return err
}

// statement is all that ends in a semicolon.
func (p *parser) statement(s string) error {
	switch {
	case p.kernel == nil && strings.HasPrefix(s, ".global"):
		return nil // constants of the source, which nothing reads: a name is unknown below
	case p.kernel == nil:
		return fmt.Errorf("%q", s)
	case s == "", strings.HasPrefix(s, ".pragma"), strings.HasPrefix(s, ".loc "):
		return nil
	case strings.HasPrefix(s, ".reg"):
		return p.kernel.registers(registers.FindStringSubmatch(s), s)
	case strings.HasPrefix(s, "."):
		return p.kernel.array(array.FindStringSubmatch(s), s)
	}
	return p.kernel.instruction(s, p.line)
}
