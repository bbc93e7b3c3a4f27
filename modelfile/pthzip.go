package modelfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// readZip reads the zip form: NAME/data.pkl is the pickle, NAME/data/KEY are the
// storages, NAME/byteorder says "little"; the other entries do not matter.
func (c *checkpoint) readZip(data []byte) (any, error) {
	entries, err := zipEntries(data)
	if err != nil {
		return nil, err
	}
	object, root, err := findPickle(entries)
	if err != nil {
		return nil, err
	}
	if order, ok := entries[root+"byteorder"]; ok && string(order) != "little" {
		return nil, fmt.Errorf("byte order %.20q: only little is read", order)
	}
	for name, b := range entries {
		if key, is := strings.CutPrefix(name, root+"data/"); is {
			c.storages[key] = b
		}
	}
	if len(object) > maxPickle {
		return nil, fmt.Errorf("object part of %d bytes, at most %d are read", len(object), maxPickle)
	}
	v, _, err := unpickle(object, c, c.steps)
	return v, err
}

// findPickle returns the one entry NAME/data.pkl, and "NAME/".
func findPickle(entries map[string][]byte) (object []byte, root string, err error) {
	found := 0
	for name, b := range entries {
		if prefix, is := strings.CutSuffix(name, "data.pkl"); is && (prefix == "" || prefix[len(prefix)-1] == '/') {
			object, root = b, prefix
			found++
		}
	}
	if found != 1 {
		return nil, "", fmt.Errorf("zip with %d data.pkl: not a PyTorch checkpoint", found)
	}
	return object, root, nil
}

// zipEntries cuts the entries out of a zip without copying them. Entries that
// together claim more than the file has would have to overlap.
func zipEntries(data []byte) (map[string][]byte, error) {
	r := &boundedReader{from: bytes.NewReader(data), left: maxDirectory}
	z, err := zip.NewReader(r, int64(len(data)))
	if errors.Is(err, zip.ErrFormat) {
		return nil, errors.New("a zip without a whole list of entries at its end: cut short, as by a download that broke off, or damaged")
	}
	if err != nil {
		return nil, err
	}
	if err := foreignZip(z.File); err != nil {
		return nil, err
	}
	entries := make(map[string][]byte, len(z.File))
	room := uint64(len(data))
	for _, f := range z.File {
		_, twice := entries[f.Name]
		switch {
		case twice:
			return nil, fmt.Errorf("entry %.80q comes twice", f.Name)
		case f.Method != zip.Store || f.UncompressedSize64 != f.CompressedSize64:
			return nil, fmt.Errorf("entry %.80q: compressed, which torch.save never does", f.Name)
		case f.UncompressedSize64 > room:
			return nil, errors.New("entries claim more bytes than the file has")
		}
		room -= f.UncompressedSize64
		b, err := stored(data, f)
		if err != nil {
			return nil, fmt.Errorf("entry %.80q: %w", f.Name, err)
		}
		entries[f.Name] = b
	}
	return entries, nil
}

// maxDirectory bounds what is read of a zip beside its entries' data, in bytes: package
// zip makes about 300 of an entry's 76 or more. That is room for maxTensors.
const maxDirectory = 16 << 20

// boundedReader fails after so many bytes.
type boundedReader struct {
	from io.ReaderAt
	left int
}

func (r *boundedReader) ReadAt(p []byte, at int64) (int, error) {
	if r.left -= len(p); r.left < 0 {
		return 0, fmt.Errorf("a zip's list of entries of more than %d bytes", maxDirectory)
	}
	return r.from.ReadAt(p, at)
}

// stored returns the bytes of an uncompressed entry.
func stored(data []byte, f *zip.File) ([]byte, error) {
	at, err := f.DataOffset()
	if err != nil {
		return nil, err
	}
	if at < 0 || at > int64(len(data)) || f.UncompressedSize64 > uint64(int64(len(data))-at) {
		return nil, errors.New("reaches beyond the file")
	}
	end := at + int64(f.UncompressedSize64)
	b := data[at:end:end]
	if crc32.ChecksumIEEE(b) != f.CRC32 {
		return nil, errors.New("checksum differs")
	}
	return b, nil
}
