// Package lineup is the models that are open on the box and which of them look at
// each camera.
//
// A [Model] is what a configuration names; a [Pass] is the run of an opened
// classifier over a frame. The passes that a camera's models need look at each of
// its frames, one after another (docs/adr/0005). Passes are used by one goroutine at
// a time; what models say of themselves does not change.
package lineup
