package modelfile

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

// archive is a zip of empty entries, compressed as torch.jit.save writes its code.
func archive(t testing.TB, names ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, name := range names {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte("some text that gets shorter, shorter, shorter, shorter"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// strangers are files that are no models, and words that say what they are.
func strangers(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"Git LFS":         []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 22883\n"),
		"HTML page":       []byte("\n<!DOCTYPE html>\n<html lang=\"en\">"),
		"XML":             []byte("\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied</Code>"),
		"JSON":            []byte("{\n  \"architectures\": [\"ViTForImageClassification\"]"),
		"GGUF":            []byte("GGUF\x03\x00\x00\x00\x22\x01\x00\x00"),
		"HDF5":            []byte("\x89HDF\r\n\x1a\n\x00\x00\x00\x00"),
		"TensorFlow Lite": []byte("\x1c\x00\x00\x00TFL3\x14\x00"),
		"NumPy array":     []byte("\x93NUMPY\x01\x00v\x00{'descr': '<f4'"),
		"gzip":            []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
		"tar archive":     append(make([]byte, 257), "ustar\x0000"...),
		"ONNX":            []byte("\x08\x08\x12\x07pytorch\x1a\x062.15.0:"),
		"Flax":            []byte("\x82\xa3cls\xc7\x00\x01"),
		"zero bytes":      make([]byte, 4096),
		"JPEG":            []byte("\xff\xd8\xff\xe0\x00\x10JFIF"),
		"PNG":             []byte("\x89PNG\r\n\x1a\n\x00\x00"),
		"TorchScript":     archive(t, "m/data.pkl", "m/constants.pkl", "m/code/__torch__/x.py"),
		"torch.export":    archive(t, "m/archive_format", "m/models/model.json"),
		".npz":            archive(t, "embedding/kernel.npy"),
		"Keras":           archive(t, "metadata.json", "config.json", "model.weights.h5"),
		"zip archive":     archive(t, "vit/model.safetensors", "vit/config.json"),
	}
}

// TestLengths: whatever bytes a header's length has, the file is none of them.
func TestLengths(t *testing.T) {
	for _, length := range []int{0x7b20, 0x8b1f, 0x7b, 0x120308, 0x61a181} {
		header := "{" + f32("w", "[1]", 0, 4) + "}"
		header += strings.Repeat(" ", length-len(header))
		if f, err := Parse(raw(header, 4)); err != nil || !f.Has("w") {
			t.Errorf("header of %#x bytes: %v", length, err)
		}
	}
}

// TestForeign: what is no model is named for what it is, with what to do, by whoever opens it.
func TestForeign(t *testing.T) {
	for what, data := range strangers(t) {
		_, _, pth := parsePTH(data, "")
		if pth == nil || !strings.Contains(pth.Error(), what) || strings.Contains(pth.Error(), "\n") {
			t.Errorf("%s: %v", what, pth)
		}
		if bytes.HasPrefix(data, []byte("PK")) {
			continue
		}
		if _, err := Parse(data); err == nil || err.Error() != pth.Error() {
			t.Errorf("%s as safetensors: %v", what, err)
		}
	}
}
