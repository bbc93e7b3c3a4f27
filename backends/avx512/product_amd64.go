//go:build !purego

package avx512

import "dynvit/backends/internal/host"

//go:noescape
func mulF32(c *host.Call)

//go:noescape
func mulBF16(c *host.Call)

//go:noescape
func mulInt8(c *host.Call)

//go:noescape
func mulInt16(c *host.Call)

func mulF32Checked(c *host.Call) {
	c.Check(tileRows, tileCols, 0, false)
	mulF32(c)
}

func mulBF16Checked(c *host.Call) {
	c.Check(tileRows, tileCols, 0, false)
	mulBF16(c)
}

func mulInt8Checked(c *host.Call) {
	c.Check(tileRows, tileCols, 1, true)
	mulInt8(c)
}

func mulInt16Checked(c *host.Call) {
	c.Check(tileRows, tileCols, 1, true)
	mulInt16(c)
}

//go:noescape
func peakF32(n int) float32

//go:noescape
func peakBF16(n int) float32

//go:noescape
func peakInt8(n int) float32

//go:noescape
func peakInt16(n int) float32
