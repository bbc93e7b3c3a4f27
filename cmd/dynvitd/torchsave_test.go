package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"dynvit/modelfile"
)

// entries are a Python dict: texts and what they lead to, a tensor, further entries, or a
// number.
type entries []struct {
	key   string
	value any
}

// torchSaver writes what torch.save does: a pickle of names, and a storage a tensor.
type torchSaver struct {
	pickle   bytes.Buffer
	storages [][]byte
}

func (p *torchSaver) text(s string) {
	p.pickle.WriteByte('X')
	p.pickle.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.pickle.WriteString(s)
}

func (p *torchSaver) number(n int) {
	p.pickle.WriteByte('J')
	p.pickle.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
}

func (p *torchSaver) numbers(list []int) {
	p.pickle.WriteByte('(')
	for _, n := range list {
		p.number(n)
	}
	p.pickle.WriteByte('t')
}

func (p *torchSaver) value(v any) {
	switch v := v.(type) {
	case int:
		p.number(v)
	case modelfile.Tensor:
		p.tensor(v)
	case entries:
		p.pickle.WriteString("}(")
		for _, e := range v {
			p.text(e.key)
			p.value(e.value)
		}
		p.pickle.WriteByte('u')
	}
}

func (p *torchSaver) tensor(t modelfile.Tensor) {
	class := map[modelfile.DType]string{modelfile.F32: "FloatStorage", modelfile.I64: "LongStorage"}[t.DType]
	p.pickle.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
	p.text("storage")
	p.pickle.WriteString("ctorch\n" + class + "\n")
	p.text(fmt.Sprint(len(p.storages)))
	p.text("cpu")
	p.number(t.Len())
	p.pickle.WriteString("tQ")
	p.number(0)
	p.numbers(t.Shape)
	stride := make([]int, len(t.Shape))
	for i, step := len(t.Shape)-1, 1; i >= 0; i-- {
		stride[i] = step
		step *= t.Shape[i]
	}
	p.numbers(stride)
	p.pickle.WriteString("\x89ccollections\nOrderedDict\n)RtR")
	p.storages = append(p.storages, t.Data)
}

// torchSave writes entries to dir/name, in the zip form.
func torchSave(t *testing.T, dir, name string, e entries) string {
	t.Helper()
	var p torchSaver
	p.pickle.WriteString("\x80\x02")
	p.value(e)
	p.pickle.WriteByte('.')
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	add := func(name string, data []byte) {
		w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(data),
			CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data))})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("archive/data.pkl", p.pickle.Bytes())
	for i, data := range p.storages {
		add(fmt.Sprintf("archive/data/%d", i), data)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
