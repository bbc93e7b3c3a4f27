// Package models holds what the program carries with it: the default model, so
// that it works without a file, predictors for published weights, and the names of
// ImageNet's classes, for models of 1000 classes whose file has none.
package models

import _ "embed"

// DefaultName is the store name of the embedded model; its card is
// imagenette.md.
const DefaultName = "imagenette"

//go:embed imagenette.safetensors
var defaultModel []byte

//go:embed deit_tiny_predictors.safetensors
var deitTinyPredictors []byte

//go:embed imagenet1k_synsets.txt
var imageNet []byte

// Default is the embedded model file. It must not be changed.
func Default() []byte { return defaultModel }

// Predictors is an embedded predictors file by its name in the model store
// (deit_tiny_predictors.safetensors; its card is beside it), nil where there is none.
// It must not be changed.
func Predictors(file string) []byte {
	if file == "deit_tiny_predictors.safetensors" {
		return deitTinyPredictors
	}
	return nil
}

// ImageNet is ImageNet's 1000 classes in order, a line each: synset id, names. It
// must not be changed.
func ImageNet() []byte { return imageNet }
