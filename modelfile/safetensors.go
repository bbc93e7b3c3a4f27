package modelfile

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	maxHeader  = 100 << 20 // the format's own limit
	maxTensors = 100_000
	maxDims    = 16
)

// Open maps a safetensors file into memory. The file must not be truncated by
// others while it is open: replace model files by rename, as Write does.
func Open(path string) (*File, error) {
	data, unmap, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), unmap())
	}
	f.path, f.unmap = path, unmap
	return f, nil
}

func mapFile(path string) ([]byte, func() error, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s: not a regular file", path)
	case info.Size() == 0:
		return nil, nil, fmt.Errorf("%s: empty file", path)
	case int64(int(info.Size())) != info.Size():
		return nil, nil, fmt.Errorf("%s: too large for this machine", path)
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", path, err)
	}
	return data, func() error { return unix.Munmap(data) }, nil
}

// Parse reads a safetensors file that is in memory; data must not change while
// the File is used. The rules are the format's: a header of at most 100 MB, no
// duplicate keys, tensors that cover the data without holes or overlaps.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("safetensors: %d bytes are no header", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return nil, fmt.Errorf("safetensors: header of %d bytes in a file of %d", n, len(data))
	}
	header, body := data[8:8+n], data[8+n:]
	meta, entries, err := parseHeader(header)
	if err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	tensors, err := place(entries, body)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return newFile("safetensors", data, meta, tensors), nil
}

// entry is one tensor of the header.
type entry struct {
	name       string
	dtype      DType
	shape      []int
	begin, end int
}

// place checks every entry against the data and cuts it out.
func place(entries []entry, body []byte) ([]Tensor, error) {
	sort.Slice(entries, func(i, j int) bool {
		a, b := entries[i], entries[j]
		if a.begin != b.begin {
			return a.begin < b.begin
		}
		return a.end < b.end
	})
	tensors := make([]Tensor, len(entries))
	at := 0
	for i, e := range entries {
		n, ok := elements(e.shape, e.dtype.Size())
		switch {
		case e.dtype.Size() == 0:
			return nil, fmt.Errorf("tensor %s: type %q is not known", e.name, e.dtype)
		case !ok:
			return nil, fmt.Errorf("tensor %s: shape %v overflows", e.name, e.shape)
		case e.begin != at:
			return nil, fmt.Errorf("tensor %s: begins at %d, the one before ends at %d", e.name, e.begin, at)
		case e.end < e.begin || e.end > len(body):
			return nil, fmt.Errorf("tensor %s: bytes %d to %d of %d", e.name, e.begin, e.end, len(body))
		case e.end-e.begin != n*e.dtype.Size():
			return nil, fmt.Errorf("tensor %s: %d bytes for shape %v of %s", e.name, e.end-e.begin, e.shape, e.dtype)
		}
		tensors[i] = Tensor{e.name, e.dtype, e.shape, body[e.begin:e.end:e.end]}
		at = e.end
	}
	if at != len(body) {
		return nil, fmt.Errorf("%d bytes after the last tensor", len(body)-at)
	}
	return tensors, nil
}

// parseHeader reads the header token by token: encoding/json alone would let
// duplicate keys pass.
func parseHeader(header []byte) (map[string]string, []entry, error) {
	p := headerParser{d: json.NewDecoder(bytes.NewReader(header))}
	p.d.UseNumber()
	var meta map[string]string
	var entries []entry
	err := p.object(func(key string) error {
		if key == "__metadata__" {
			meta = map[string]string{}
			return p.object(func(k string) (err error) {
				meta[k], err = p.text()
				return err
			})
		}
		if len(entries) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		e, err := p.entry(key)
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := p.d.Token(); err != io.EOF {
		return nil, nil, errors.New("more than one object")
	}
	return meta, entries, nil
}

type headerParser struct{ d *json.Decoder }

// object calls value for each key, which must consume the value; a key that
// comes twice is an error.
func (p headerParser) object(value func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.d.More() {
		key, err := p.text()
		if err != nil {
			return err
		}
		if key == "" || seen[key] {
			return fmt.Errorf("key %q is empty or comes twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return p.delim('}')
}

func (p headerParser) entry(name string) (entry, error) {
	e := entry{name: name}
	var offsets []int
	seen := 0
	err := p.object(func(key string) (err error) {
		seen++
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
	if err == nil && (seen != 3 || len(offsets) != 2) {
		err = errors.New("want dtype, shape and two data_offsets")
	}
	if err == nil {
		e.begin, e.end = offsets[0], offsets[1]
	}
	return e, err
}

func (p headerParser) delim(want json.Delim) error {
	t, err := p.d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("want %v, found %v", want, t)
	}
	return nil
}

func (p headerParser) text() (string, error) {
	t, err := p.d.Token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("want a string, found %v", t)
	}
	return s, nil
}

// ints reads a list of at most most whole numbers, none negative.
func (p headerParser) ints(most int) ([]int, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	list := []int{}
	for p.d.More() {
		t, err := p.d.Token()
		if err != nil {
			return nil, err
		}
		num, ok := t.(json.Number)
		n, err := strconv.ParseInt(num.String(), 10, 64)
		if !ok || err != nil || n < 0 || int64(int(n)) != n || len(list) == most {
			return nil, fmt.Errorf("want at most %d whole numbers, found %v", most, t)
		}
		list = append(list, int(n))
	}
	return list, p.delim(']')
}

// Write makes a safetensors file: the tensors in the order of their names, the
// metadata in the order of its keys, so that equal content gives equal bytes.
// It replaces path atomically; on error nothing is left.
func Write(path string, meta map[string]string, tensors []Tensor) error {
	data, err := Marshal(meta, tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeAtomic(path, data)
}

// Marshal is Write into memory.
func Marshal(meta map[string]string, tensors []Tensor) ([]byte, error) {
	sorted := append([]Tensor(nil), tensors...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	var header bytes.Buffer
	header.WriteByte('{')
	if len(meta) > 0 {
		text, err := json.Marshal(meta) // keys come sorted
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&header, `"__metadata__":%s`, text)
	}
	at := 0
	for _, t := range sorted {
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		shape, _ := json.Marshal(append([]int{}, t.Shape...))
		if header.Len() > 1 {
			header.WriteByte(',')
		}
		fmt.Fprintf(&header, `%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, t.DType, shape, at, at+len(t.Data))
		at += len(t.Data)
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	data := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+header.Len()+at), uint64(header.Len()))
	data = append(data, header.Bytes()...)
	for _, t := range sorted {
		data = append(data, t.Data...)
	}
	if _, err := Parse(data); err != nil { // the reader's rules are the writer's
		return nil, err
	}
	return data, nil
}

// writeAtomic replaces path by a synced temporary file in the same folder.
func writeAtomic(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	if err = tmp.Chmod(0o644); err != nil {
		return err
	}
	if _, err = tmp.Write(data); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	tmp.Close() // already synced
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
