package spool

import (
	"encoding/hex"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells the time in a way that outlives the process.
type Clock struct {
	Boot      [16]byte // of the kernel that runs now; zero: unknown
	Now       func() time.Time
	SinceBoot func() time.Duration // of the kernel, suspension included
}

// SystemClock is the kernel's.
func SystemClock() Clock {
	return Clock{Boot: bootID(), Now: time.Now, SinceBoot: sinceBoot}
}

func bootID() (id [16]byte) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err == nil && len(raw) == len(id) {
		copy(id[:], raw)
	}
	return id
}

func sinceBoot() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// stamp is the moment at, which may lie in the past, on both clocks.
func (c *Clock) stamp(at time.Time) stamp {
	ago := c.Now().Sub(at)
	return stamp{at.UnixMilli(), (c.SinceBoot() - ago).Milliseconds()}
}

// time finds back the moment of a stamp. While the kernel that made it runs, its
// clock since the start decides, which nobody can set. After that only the wall
// clock is left: what lies in its future counts as just now.
func (c *Clock) time(s stamp, boot [16]byte) time.Time {
	now := c.Now()
	age := now.UnixMilli() - s.wall
	if boot == c.Boot && boot != [16]byte{} {
		age = c.SinceBoot().Milliseconds() - s.sinceBoot
	}
	return now.Add(-time.Duration(min(max(age, 0), maxAge.Milliseconds())) * time.Millisecond)
}

// maxAge keeps a damaged or absurd stamp within what a Duration can hold.
const maxAge = 100 * 365 * 24 * time.Hour
