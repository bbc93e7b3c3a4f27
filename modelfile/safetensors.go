package modelfile

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// The safetensors format (github.com/huggingface/safetensors, README "Format"):
// eight bytes little endian N, N bytes of JSON, then the tensors' data.
const (
	lengthBytes = 8
	maxHeader   = 100_000_000 // the reference implementation's limit
)

// Open maps a safetensors file into memory. The file must not be truncated by
// others while it is open (the process would end with SIGBUS): replace model
// files by rename, as Write does. The caller closes the File.
func Open(path string) (*File, error) { return openMapped(path, parse) }

// Parse reads a safetensors file that is in memory; data must not change while
// the File is used, and Close is not needed. The rules are the format's: a header
// of at most 100 MB, no duplicate keys, tensors that cover the data without holes
// or overlaps, in any order.
func Parse(data []byte) (*File, error) {
	meta, tensors, err := parse(data)
	if err != nil {
		return nil, err
	}
	return newFile("safetensors", data, meta, tensors, nil), nil
}

func parse(data []byte) (map[string]string, []Tensor, error) {
	if err := foreign(data); err != nil {
		return nil, nil, err
	}
	if len(data) < lengthBytes {
		return nil, nil, fmt.Errorf("safetensors: %d bytes hold no header", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	data = data[lengthBytes:]
	if n > maxHeader || n > uint64(len(data)) {
		return nil, nil, fmt.Errorf("safetensors: header of %d bytes in a file of %d", n, lengthBytes+len(data))
	}
	meta, entries, err := parseHeader(data[:n])
	if err != nil {
		return nil, nil, fmt.Errorf("safetensors: header: %w", err)
	}
	body := data[n:]
	if err := checkEntries(entries, len(body)); err != nil {
		return nil, nil, fmt.Errorf("safetensors: %w", err)
	}
	tensors := make([]Tensor, len(entries))
	for i, e := range entries {
		tensors[i] = Tensor{e.name, e.dtype, e.shape, body[e.begin:e.end:e.end]}
	}
	return meta, tensors, nil
}

// entry is one tensor of the header; its bytes are begin to end of the data.
type entry struct {
	name       string
	dtype      DType
	shape      []int
	begin, end int
}

// checkEntries sorts the entries by place and checks that they cover size bytes
// exactly, each with as many as its shape and type want.
func checkEntries(entries []entry, size int) error {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := 0
	for _, e := range entries {
		if err := e.check(at, size); err != nil {
			return fmt.Errorf("tensor %s: %w", e.name, err)
		}
		at = e.end
	}
	if at != size {
		return fmt.Errorf("%d bytes after the last tensor", size-at)
	}
	return nil
}

// check tests an entry that has to begin at byte at, of size.
func (e entry) check(at, size int) error {
	width := e.dtype.Size()
	n, ok := elements(e.shape, width)
	switch {
	case width == 0:
		return fmt.Errorf("type %.20q is not known", e.dtype)
	case !ok:
		return fmt.Errorf("shape %v overflows", e.shape)
	case e.end < e.begin:
		return fmt.Errorf("bytes %d to %d run backwards", e.begin, e.end)
	case e.end > size:
		return fmt.Errorf("bytes %d to %d of %d: the file is cut short, or damaged", e.begin, e.end, size)
	case e.begin < at:
		return fmt.Errorf("begins at %d, within the tensor before, which ends at %d", e.begin, at)
	case e.begin > at:
		return fmt.Errorf("begins at %d and leaves a hole from %d", e.begin, at)
	case e.end-e.begin != n*width:
		return fmt.Errorf("%d bytes for shape %v of %s", e.end-e.begin, e.shape, e.dtype)
	}
	return nil
}
