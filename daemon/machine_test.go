package daemon

import (
	"os"
	"testing"
	"testing/fstest"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestMachine(t *testing.T) {
	full := machine{fstest.MapFS{
		"proc/sys/kernel/osrelease":               file("6.1.0-rpi\n"),
		"proc/device-tree/model":                  file("Raspberry Pi 5\x00"),
		"sys/class/dmi/id/product_name":           file("a board"),
		"proc/cpuinfo":                            file("processor\t: 0\nmodel name\t: Cortex: A76\nmodel name\t: other\n"),
		"proc/self/status":                        file("Name:\tdynvitd\nVmRSS:\t   2048 kB\n"),
		"sys/class/thermal/thermal_zone0/temp":    file("41500\n"),
		"sys/class/thermal/thermal_zone1/temp":    file("52250\n"),
		"sys/class/thermal/thermal_zone2/temp":    file("N/A\n"),
		"sys/class/thermal/cooling_device0/state": file("99000\n"),
	}}
	h := full.hardware()
	if h.Kernel != "6.1.0-rpi" || h.Board != "Raspberry Pi 5" || h.CPU != "Cortex: A76" || h.Cores < 1 || h.OS == "" || h.Arch == "" {
		t.Errorf("hardware %+v", h)
	}
	if c := full.temperature(); c == nil || *c != 52.25 {
		t.Errorf("temperature %v", c)
	}
	if n := full.rss(); n != 2048<<10 {
		t.Errorf("%d bytes", n)
	}
}

func TestMachineWithoutAnything(t *testing.T) {
	for name, m := range map[string]machine{
		"empty":   {fstest.MapFS{}},
		"garbage": {fstest.MapFS{"proc/self/status": file("VmRSS: many\n"), "sys/class/thermal/thermal_zone0/temp": file("")}},
	} {
		if c, n, h := m.temperature(), m.rss(), m.hardware(); c != nil || n != 0 || h.CPU != "" || h.Board != "" {
			t.Errorf("%s: %v °C, %d bytes, %+v", name, c, n, h)
		}
	}
}

func TestThisMachine(t *testing.T) {
	m := machine{os.DirFS("/")}
	if n := m.rss(); n < 1<<20 {
		t.Errorf("this test runs in %d bytes", n)
	}
}
