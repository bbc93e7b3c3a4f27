package machine

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// gpus are the names that NVIDIA's driver gives; on Jetson the board says it.
func (m Machine) gpus() string {
	paths, err := fs.Glob(m.root, "proc/driver/nvidia/gpus/*/information")
	if err != nil {
		return ""
	}
	var names []string
	for _, path := range paths {
		m.scan(path, func(text string) bool {
			if name, ok := strings.CutPrefix(text, "Model:"); ok {
				names = append(names, strings.TrimSpace(name))
			}
			return true
		})
	}
	return strings.Join(names, ", ")
}

// tegra are the GPUs of Jetson boards as devfreq names them behind an address: Nano, TX2,
// Xavier, Orin.
var tegra = []string{".gpu", ".gp10b", ".gv11b", ".ga10b"}

// gpuClock is the highest clock in MHz that a Jetson's GPU may have, 0 elsewhere: the power
// mode sets it.
func (m Machine) gpuClock() int {
	paths, err := fs.Glob(m.root, "sys/class/devfreq/*/max_freq")
	if err != nil {
		return 0
	}
	for _, p := range paths {
		if slices.Contains(tegra, path.Ext(path.Dir(p))) {
			hertz, _ := strconv.Atoi(m.line(p)) // 0 where it says something else
			return hertz / 1_000_000
		}
	}
	return 0
}

// powerMode is the mode that nvpmodel has a Jetson in, by its name where nvpmodel.conf has
// one: "MAXN", "10W". "" elsewhere.
func (m Machine) powerMode() string {
	number, ok := strings.CutPrefix(m.line("var/lib/nvpmodel/status"), "pmode:")
	id, err := strconv.Atoi(number)
	if !ok || err != nil {
		return ""
	}
	mode := strconv.Itoa(id)
	m.scan("etc/nvpmodel.conf", func(text string) bool {
		words := strings.Fields(text) // < POWER_MODEL ID=0 NAME=MAXN >
		found := slices.Contains(words, "POWER_MODEL") && slices.Contains(words, "ID="+mode)
		for _, w := range words {
			if name, named := strings.CutPrefix(w, "NAME="); found && named {
				mode = name
			}
		}
		return !found
	})
	return mode
}
