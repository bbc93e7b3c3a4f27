package machine

import "golang.org/x/sys/unix"

// ClockSynced reports whether the kernel's clock is kept by NTP or the like.
func ClockSynced() bool {
	var t unix.Timex // no modes: only reads
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
