package modelfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

const (
	metaKey = "__metadata__"
	maxMeta = 10_000 // entries of the metadata
)

// parseHeader reads a safetensors header token by token: encoding/json alone
// would let duplicate keys pass.
func parseHeader(header []byte) (meta map[string]string, entries []entry, err error) {
	switch {
	case !bytes.HasPrefix(header, []byte("{")):
		return nil, nil, errors.New("does not begin with {")
	case !utf8.Valid(header):
		return nil, nil, errors.New("is no UTF-8")
	}
	p := newStrictJSON(header)
	err = p.object(maxTensors+1, func(key string) error {
		if key == metaKey {
			meta, err = p.texts(maxMeta)
			return err
		}
		if err := checkName(key); err != nil {
			return err
		}
		e, err := p.entry(key)
		entries = append(entries, e)
		return err
	})
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, nil, err
	}
	return meta, entries, nil
}

// strictJSON reads JSON whose structure is known: each method takes the value
// that has to come next. Nothing recurses, so nesting cannot exhaust the stack.
type strictJSON struct{ d *json.Decoder }

func newStrictJSON(data []byte) strictJSON {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return strictJSON{d}
}

// object calls value for each key, which must take the value; more than most keys
// and a key that comes twice are errors.
func (p strictJSON) object(most int, value func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.d.More() {
		key, err := p.text()
		switch {
		case err != nil:
			return err
		case seen[key]:
			return fmt.Errorf("key %.60q comes twice", key)
		case len(seen) == most:
			return fmt.Errorf("more than %d keys", most)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return fmt.Errorf("%.60q: %w", key, err)
		}
	}
	return p.delim('}')
}

// texts reads an object of strings.
func (p strictJSON) texts(most int) (map[string]string, error) {
	m := map[string]string{}
	err := p.object(most, func(key string) (err error) {
		m[key], err = p.text()
		return err
	})
	return m, err
}

// entry reads {"dtype": …, "shape": […], "data_offsets": [begin, end]}.
func (p strictJSON) entry(name string) (entry, error) {
	e := entry{name: name}
	var offsets []int
	keys := 0
	err := p.object(3, func(key string) (err error) {
		keys++
		switch key {
		case "dtype":
			var s string
			s, err = p.text()
			e.dtype = DType(s)
		case "shape":
			e.shape, err = p.ints(maxDims)
		case "data_offsets":
			offsets, err = p.ints(2)
		default:
			err = errors.New("unknown key")
		}
		return err
	})
	if err == nil && (keys != 3 || len(offsets) != 2) {
		err = errors.New("want dtype, shape and two data_offsets")
	}
	if err != nil {
		return entry{}, err
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e, nil
}

// list calls value for each element, which must take it.
func (p strictJSON) list(most int, value func(i int) error) error {
	if err := p.delim('['); err != nil {
		return err
	}
	for i := 0; p.d.More(); i++ {
		if i == most {
			return fmt.Errorf("more than %d elements", most)
		}
		if err := value(i); err != nil {
			return err
		}
	}
	return p.delim(']')
}

// ints reads a list of at most most whole numbers, none negative.
func (p strictJSON) ints(most int) ([]int, error) {
	list := []int{}
	err := p.list(most, func(int) error {
		t, err := p.d.Token()
		if err != nil {
			return err
		}
		num, _ := t.(json.Number)
		n, err := strconv.ParseUint(num.String(), 10, 63)
		if err != nil {
			return fmt.Errorf("want a whole number from 0, found %s", show(t))
		}
		if n > math.MaxInt {
			return fmt.Errorf("%d overflows an address of this machine", n)
		}
		list = append(list, int(n))
		return nil
	})
	return list, err
}

func (p strictJSON) text() (string, error) {
	t, err := p.d.Token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("want a string, found %s", show(t))
	}
	return s, nil
}

func (p strictJSON) delim(want json.Delim) error {
	t, err := p.d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("want %v, found %s", want, show(t))
	}
	return nil
}

// end reports what follows the value.
func (p strictJSON) end() error {
	if t, err := p.d.Token(); err == nil {
		return fmt.Errorf("%s after the end", show(t))
	} else if err != io.EOF {
		return err
	}
	return nil
}

// show prints a token for a message: short, on one line.
func show(t json.Token) string {
	if t == nil {
		return "null"
	}
	return fmt.Sprintf("%.40q", fmt.Sprint(t))
}
