// Package timm knows what timm's definitions of vision transformers set that the tensors
// of a checkpoint do not show: heads, eps, activation, pooling.
package timm

// Lookup finds an architecture, a tag behind a dot not minded: what its definition sets,
// as metadata that modelfile.ParseManifest reads. err says why it is not taken.
func Lookup(architecture string) (meta map[string]string, known bool, err error) {
	return nil, false, nil
}
