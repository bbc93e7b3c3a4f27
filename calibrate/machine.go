package calibrate

import (
	"bufio"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Machine is what a table's times hold for. What cannot be found out is left
// empty.
type Machine struct {
	Arch         string   `json:"arch"`
	CPU          string   `json:"cpu"`
	Features     []string `json:"features"` // vector instructions, sorted
	Cores        int      `json:"cores"`    // that the program may use
	Governor     string   `json:"governor,omitempty"`
	GPU          string   `json:"gpu,omitempty"`
	TemperatureC *float64 `json:"temperature_c,omitempty"` // when measured; not compared
}

// maxFile bounds what is read of one file under /proc or /sys: cpuinfo of 256
// cores takes 0.4 MiB.
const maxFile = 4 << 20

// Fingerprint reads the machine from the root of its file system (os.DirFS("/")).
// cores is how many the program may use.
func Fingerprint(root fs.FS, cores int) Machine {
	cpu := cpuinfo(root)
	return Machine{
		Arch: runtime.GOARCH, CPU: cpuName(root, cpu), Features: features(cpu), Cores: cores,
		Governor: line(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		GPU:      gpus(root), TemperatureC: hottest(root),
	}
}

// cpuinfo holds, for each field of /proc/cpuinfo, the distinct values of the
// processors: a big.LITTLE chip has several.
func cpuinfo(root fs.FS) map[string][]string {
	info := map[string][]string{}
	scan(root, "proc/cpuinfo", func(text string) {
		name, value, ok := strings.Cut(text, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if ok && !slices.Contains(info[name], value) {
			info[name] = append(info[name], value)
		}
	})
	return info
}

// cpuName is the model's name, on ARM boards the device tree's, else the cores'
// part numbers.
func cpuName(root fs.FS, info map[string][]string) string {
	if names := info["model name"]; len(names) > 0 {
		return strings.Join(names, " + ")
	}
	if board := line(root, "proc/device-tree/model"); board != "" {
		return board
	}
	if parts := info["CPU part"]; len(parts) > 0 {
		return strings.Join(info["CPU implementer"], " + ") + " " + strings.Join(parts, " + ")
	}
	return ""
}

// vector are the beginnings of the features that a kernel may pick.
var vector = []string{"sse4", "f16c", "fma", "avx", "amx", "asimd", "fphp", "bf16", "i8mm", "sve", "sme", "dotprod"}

// features are the vector instructions that every kind of processor has.
func features(info map[string][]string) []string {
	lists := append(slices.Clone(info["flags"]), info["Features"]...)
	if len(lists) == 0 {
		return nil
	}
	var common []string
	for _, word := range strings.Fields(lists[0]) {
		if slices.ContainsFunc(vector, func(v string) bool { return strings.HasPrefix(word, v) }) && inAll(lists[1:], word) {
			common = append(common, word)
		}
	}
	slices.Sort(common)
	return slices.Compact(common)
}

func inAll(lists []string, word string) bool {
	for _, l := range lists {
		if !slices.Contains(strings.Fields(l), word) {
			return false
		}
	}
	return true
}

// gpus are the names that NVIDIA's driver gives; on Jetson the board says it.
func gpus(root fs.FS) string {
	paths, err := fs.Glob(root, "proc/driver/nvidia/gpus/*/information")
	if err != nil {
		return ""
	}
	var names []string
	for _, path := range paths {
		scan(root, path, func(text string) {
			if name, ok := strings.CutPrefix(text, "Model:"); ok {
				names = append(names, strings.TrimSpace(name))
			}
		})
	}
	return strings.Join(names, ", ")
}

// hottest is the highest of the thermal zones in degrees Celsius, nil where the
// machine has none.
func hottest(root fs.FS) *float64 {
	zones, err := fs.Glob(root, "sys/class/thermal/thermal_zone*/temp")
	if err != nil {
		return nil
	}
	var most *float64
	for _, zone := range zones {
		milli, err := strconv.Atoi(line(root, zone))
		if c := float64(milli) / 1000; err == nil && (most == nil || c > *most) {
			most = &c
		}
	}
	return most
}

// line is the first line of a file, "" where there is none.
func line(root fs.FS, path string) string {
	first, seen := "", false
	scan(root, path, func(text string) {
		if !seen {
			first, seen = strings.TrimSpace(strings.TrimRight(text, "\x00")), true
		}
	})
	return first
}

// scan hands over the lines of a file, none where it cannot be read.
func scan(root fs.FS, path string, take func(string)) {
	f, err := root.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxFile))
	for lines.Scan() {
		take(lines.Text())
	}
}
