// Package modelstore brings models into the folder of named models: from a
// checkpoint at hand, or from the address where one is published.
package modelstore

import (
	"bytes"
	"errors"
	"fmt"

	"dynvit/modelfile"
	"dynvit/regular"
	"dynvit/vit"
)

// Import turns a checkpoint, .pth or timm's .safetensors, into the model file
// out. What meta says goes before what the checkpoint says of itself, and that
// before what its names and shapes tell; labels names a file of class names, ""
// for none. Nothing is written on an error, which names in.
func Import(in, out string, meta map[string]string, labels string) (vit.Config, error) {
	file, err := openCheckpoint(in)
	if err != nil {
		return vit.Config{}, err
	}
	defer file.Close()
	m, err := manifest(meta, file.Meta, labels)
	if err != nil {
		return vit.Config{}, fmt.Errorf("%s: %w", in, err)
	}
	written, tensors, c, err := vit.Import(file, nil, m)
	if err != nil {
		return c, fmt.Errorf("%s: %w", in, err)
	}
	return c, modelfile.Write(out, written, tensors)
}

// manifest merges the metadata that was given with the file's own.
func manifest(given, own map[string]string, labels string) (modelfile.Manifest, error) {
	merged := map[string]string{}
	for _, source := range []map[string]string{own, given} {
		for k, v := range source {
			merged[k] = v
		}
	}
	m, err := modelfile.ParseManifest(merged)
	if err != nil {
		return m, err
	}
	if given["resize"] == "" {
		m.Resize = resizeFor(m, own)
	}
	if labels == "" {
		return m, nil
	}
	l, err := modelfile.ReadLabels(labels)
	m.Classes, m.Synsets = l.Names, l.Synsets
	return m, err
}

// resizeFor is the resize of a file used at m's image size: its own, in the
// proportion of the two sizes, so that the crop shows the same part of a picture.
func resizeFor(m modelfile.Manifest, own map[string]string) int {
	o, err := modelfile.ParseManifest(own)
	if err != nil || o.Resize == 0 || o.ImageSize == 0 {
		return m.Resize
	}
	return o.Resize * m.ImageSize / o.ImageSize
}

// openCheckpoint tells the two kinds of checkpoint apart by their first bytes.
func openCheckpoint(path string) (*modelfile.File, error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Unwrap(err)) // a *fs.PathError
	}
	head := make([]byte, 9)
	n, _ := file.Read(head) // what cannot be read, the readers below say
	file.Close()
	if head = head[:n]; len(head) == 9 && head[8] == '{' && !bytes.HasPrefix(head, []byte("PK")) {
		return modelfile.Open(path)
	}
	return modelfile.ReadPTH(path, "")
}
