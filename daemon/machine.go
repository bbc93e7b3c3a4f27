package daemon

import (
	"bufio"
	"bytes"
	"io/fs"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machine reads about the box from the root of its file system.
type machine struct{ root fs.FS }

// hardware is what info says about the box. What cannot be found out is left
// out.
type hardware struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel,omitempty"`
	Board  string `json:"board,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"` // that this process may use
}

func (m machine) hardware() hardware {
	return hardware{
		OS:     runtime.GOOS,
		Arch:   runtime.GOARCH,
		Kernel: m.line("proc/sys/kernel/osrelease"),
		Board:  m.board(),
		CPU:    m.field("proc/cpuinfo", "model name"),
		Cores:  runtime.GOMAXPROCS(0),
	}
}

// board is the device tree's model on ARM boards, else what the BIOS says.
func (m machine) board() string {
	if model := m.line("proc/device-tree/model"); model != "" {
		return model
	}
	return m.line("sys/class/dmi/id/product_name")
}

// rss is the process's resident memory in bytes, 0 where it is unknown.
func (m machine) rss() uint64 {
	kib, err := strconv.ParseUint(strings.TrimSuffix(m.field("proc/self/status", "VmRSS"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// temperature is the highest of the thermal zones in degrees Celsius, nil where
// the machine has none.
func (m machine) temperature() *float64 {
	zones, err := fs.Glob(m.root, "sys/class/thermal/thermal_zone*/temp")
	if err != nil {
		return nil
	}
	var hottest *float64
	for _, zone := range zones {
		milli, err := strconv.Atoi(m.line(zone))
		if c := float64(milli) / 1000; err == nil && (hottest == nil || c > *hottest) {
			hottest = &c
		}
	}
	return hottest
}

// line is the first line of a file, "" where there is none.
func (m machine) line(path string) string {
	data, err := fs.ReadFile(m.root, path)
	if err != nil {
		return ""
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return strings.TrimRight(string(line), "\x00")
}

// field is the value of the first line "name: value" of a file.
func (m machine) field(path, name string) string {
	data, err := fs.ReadFile(m.root, path)
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		word, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(word) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// clockSynced reports whether the kernel's clock is kept by NTP or the like.
func clockSynced() bool {
	var t unix.Timex // no modes: only reads
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
