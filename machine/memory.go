package machine

import (
	"strconv"
	"strings"
)

// RSS is the process's resident memory in bytes, 0 where it is unknown.
func (m Machine) RSS() uint64 {
	kib, err := strconv.ParseUint(strings.TrimSuffix(m.field("proc/self/status", "VmRSS"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
