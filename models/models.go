// Package models holds what the program carries with it: the default model, so
// that it works without a file, and the names of ImageNet's classes, for models of
// 1000 classes whose file has none. Beside them lie predictors for published weights, as
// a file that --predictors takes.
package models

import _ "embed"

// DefaultName is the store name of the embedded model; its card is
// imagenette.md.
const DefaultName = "imagenette"

//go:embed imagenette.safetensors
var defaultModel []byte

//go:embed imagenet1k_synsets.txt
var imageNet []byte

// Default is the embedded model file. It must not be changed.
func Default() []byte { return defaultModel }

// ImageNet is ImageNet's 1000 classes in order, a line each: synset id, names. It
// must not be changed.
func ImageNet() []byte { return imageNet }
