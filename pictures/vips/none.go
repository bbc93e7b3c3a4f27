//go:build !vips

package vips

import "errors"

// Linked reports whether the program is built with the tag vips.
const Linked = false

// Load decodes nothing.
func Load([]byte, int) (*Image, error) { return nil, errors.New("built without the vips tag") }

// LoadSmall is Load at a size.
func LoadSmall([]byte, int, int) (*Image, error) { panic("vips: not linked") }
