package machine

import (
	"path"
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

// unlimited is what cgroup v1 shows about where there is no limit: 2^63 less a
// page.
const unlimited = 1 << 60

// MemoryLimit is the least limit in bytes that the process's control groups,
// version 1 or 2, and those above them set; 0 where there is none. In a container
// the groups are those at the root of what is mounted, whatever path they have
// outside.
func (m Machine) MemoryLimit() (least int64) {
	m.scan("proc/self/cgroup", func(line string) bool {
		part := strings.SplitN(line, ":", 3) // number, controllers, path
		if len(part) < 3 {
			return true
		}
		for _, file := range limitFiles(part[1]) {
			for dir := path.Clean("/" + part[2]); ; dir = path.Dir(dir) {
				least = lesser(least, m.line(path.Join("sys/fs/cgroup", path.Dir(file), dir, path.Base(file))))
				if dir == "/" {
					break
				}
			}
		}
		return true
	})
	return least
}

// limitFiles are where, below the mounted groups' root, the limit of a hierarchy
// of these controllers stands; version 2 names none.
func limitFiles(controllers string) []string {
	switch {
	case controllers == "":
		return []string{"memory.max", "unified/memory.max"}
	case strings.Contains(","+controllers+",", ",memory,"):
		return []string{controllers + "/memory.limit_in_bytes", "memory/memory.limit_in_bytes"}
	}
	return nil
}

// lesser is the lower of a limit and one as a file shows it, "max" or nothing
// where there is none.
func lesser(limit int64, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n >= unlimited || limit > 0 && limit <= n {
		return limit
	}
	return n
}
