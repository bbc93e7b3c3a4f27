package machine

import (
	"runtime"
	"slices"
	"strings"
)

// Fingerprint is what the times of a calibration hold for. What cannot be found
// out is left empty.
type Fingerprint struct {
	Arch         string   `json:"arch"`
	CPU          string   `json:"cpu"`
	Features     []string `json:"features"` // vector instructions, sorted
	Cores        int      `json:"cores"`    // that the program may use
	Governor     string   `json:"governor,omitempty"`
	GPU          string   `json:"gpu,omitempty"`
	GPUClockMHz  int      `json:"gpu_clock_mhz,omitempty"` // the most that the power mode allows
	PowerMode    string   `json:"power_mode,omitempty"`    // nvpmodel's
	TemperatureC *float64 `json:"temperature_c,omitempty"` // when measured; not compared
}

// Fingerprint reads what the box is. cores is how many the program may use.
func (m Machine) Fingerprint(cores int) Fingerprint {
	cpu := m.cpuinfo()
	return Fingerprint{
		Arch: runtime.GOARCH, CPU: m.cpuName(cpu), Features: features(cpu), Cores: cores,
		Governor: m.line("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		GPU:      m.gpus(), GPUClockMHz: m.gpuClock(), PowerMode: m.powerMode(), TemperatureC: m.Temperature(),
	}
}

// cpuinfo holds, for each field of /proc/cpuinfo, the distinct values of the
// processors: a big.LITTLE chip has several.
func (m Machine) cpuinfo() map[string][]string {
	info := map[string][]string{}
	m.scan("proc/cpuinfo", func(text string) bool {
		name, value, ok := strings.Cut(text, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if ok && !slices.Contains(info[name], value) {
			info[name] = append(info[name], value)
		}
		return true
	})
	return info
}

// cpuName is the model's name, on ARM boards the device tree's, else the cores'
// part numbers.
func (m Machine) cpuName(info map[string][]string) string {
	if names := info["model name"]; len(names) > 0 {
		return strings.Join(names, " + ")
	}
	if board := m.line("proc/device-tree/model"); board != "" {
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
