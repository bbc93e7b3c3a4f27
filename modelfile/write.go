package modelfile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"dynvit/atomicfile"
)

// Write makes a safetensors file: the tensors in the order of their names, the
// metadata in the order of its keys, the header padded to eight bytes, so that
// equal content gives equal bytes. What Open would refuse is not written. The file
// replaces path atomically and survives a power cut; on error nothing is left.
func Write(path string, meta map[string]string, tensors []Tensor) error {
	header, sorted, err := layout(meta, tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return emit(w, header, sorted) })
}

// layout sorts the tensors, makes the header, and reads it back by the reader's
// rules, which are the writer's.
func layout(meta map[string]string, tensors []Tensor) (header []byte, sorted []Tensor, err error) {
	if err := checkMeta(meta); err != nil {
		return nil, nil, err
	}
	sorted = slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	header, size, err := makeHeader(meta, sorted)
	if err != nil {
		return nil, nil, err
	}
	if len(header) > maxHeader {
		return nil, nil, fmt.Errorf("header of %d bytes, at most %d can be read", len(header), maxHeader)
	}
	_, entries, err := parseHeader(header)
	if err == nil {
		err = checkEntries(entries, size)
	}
	return header, sorted, err
}

// checkMeta refuses what JSON cannot carry unchanged.
func checkMeta(meta map[string]string) error {
	for k, v := range meta {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return fmt.Errorf("metadata %.40q is no UTF-8", k)
		}
	}
	return nil
}

// makeHeader returns the header and the number of bytes of data it describes.
func makeHeader(meta map[string]string, tensors []Tensor) (header []byte, size int, err error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(meta) > 0 {
		text, err := json.Marshal(meta) // its keys come sorted
		if err != nil {
			return nil, 0, err
		}
		fmt.Fprintf(&b, "%q:%s", metaKey, text)
	}
	for _, t := range tensors {
		if err := checkName(t.Name); err != nil {
			return nil, 0, err
		}
		text, err := headerEntry(t, size)
		if err != nil {
			return nil, 0, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(text)
		size += len(t.Data)
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return b.Bytes(), size, nil
}

// headerEntry is `"name":{…}` of a tensor whose data begins at byte at.
func headerEntry(t Tensor, at int) ([]byte, error) {
	name, err := json.Marshal(t.Name)
	if err != nil {
		return nil, err
	}
	entry, err := json.Marshal(struct {
		DType   DType  `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}{t.DType, append([]int{}, t.Shape...), [2]int{at, at + len(t.Data)}})
	return slices.Concat(name, []byte(":"), entry), err
}

func emit(w io.Writer, header []byte, tensors []Tensor) error {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	if _, err := w.Write(append(length, header...)); err != nil {
		return err
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}
