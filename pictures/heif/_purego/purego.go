// Package purego stands for the module of that name, by which heic and avif would look
// for libheif and libavif on the machine. With it a program is linked dynamically, also
// where nothing is found. Here nothing is ever found, they use their WebAssembly, and
// dynvitd stays one static file.
package purego

import "errors"

// Modes of Dlopen.
const (
	RTLD_NOW    = 0x2
	RTLD_GLOBAL = 0x100
)

// Dlopen finds no library.
func Dlopen(string, int) (uintptr, error) { return 0, errors.New("no libraries are loaded") }

// RegisterLibFunc is called for a library that was found.
func RegisterLibFunc(any, uintptr, string) { panic("purego: no libraries are loaded") }
