package machine

import "runtime"

// Hardware is what the box is. What cannot be found out is "".
type Hardware struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel,omitempty"`
	Board  string `json:"board,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"` // that this process may use
}

// Hardware reads what the box is.
func (m Machine) Hardware() Hardware {
	return Hardware{
		OS:     runtime.GOOS,
		Arch:   runtime.GOARCH,
		Kernel: m.line("proc/sys/kernel/osrelease"),
		Board:  m.board(),
		CPU:    m.field("proc/cpuinfo", "model name"),
		Cores:  runtime.GOMAXPROCS(0),
	}
}

// board is the device tree's model on ARM boards, else what the BIOS says.
func (m Machine) board() string {
	if model := m.line("proc/device-tree/model"); model != "" {
		return model
	}
	return m.line("sys/class/dmi/id/product_name")
}
