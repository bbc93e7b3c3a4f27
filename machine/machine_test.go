package machine

import (
	"os"
	"reflect"
	"testing"
	"testing/fstest"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestMachine(t *testing.T) {
	full := At(fstest.MapFS{
		"proc/sys/kernel/osrelease":               file("6.1.0-rpi\n"),
		"proc/device-tree/model":                  file("Raspberry Pi 5\x00"),
		"sys/class/dmi/id/product_name":           file("a board"),
		"proc/cpuinfo":                            file("processor\t: 0\nmodel name\t: Cortex: A76\nmodel name\t: other\n"),
		"proc/self/status":                        file("Name:\tdynvitd\nVmRSS:\t   2048 kB\n"),
		"sys/class/thermal/thermal_zone0/temp":    file("41500\n"),
		"sys/class/thermal/thermal_zone1/temp":    file("52250\n"),
		"sys/class/thermal/thermal_zone2/temp":    file("N/A\n"),
		"sys/class/thermal/cooling_device0/state": file("99000\n"),
	})
	h := full.Hardware()
	if h.Kernel != "6.1.0-rpi" || h.Board != "Raspberry Pi 5" || h.CPU != "Cortex: A76" || h.Cores < 1 || h.OS == "" || h.Arch == "" {
		t.Errorf("hardware %+v", h)
	}
	if c := full.Temperature(); c == nil || *c != 52.25 {
		t.Errorf("temperature %v", c)
	}
	if n := full.RSS(); n != 2048<<10 {
		t.Errorf("%d bytes", n)
	}
}

func TestMachineWithoutAnything(t *testing.T) {
	for name, m := range map[string]Machine{
		"empty":   At(fstest.MapFS{}),
		"garbage": At(fstest.MapFS{"proc/self/status": file("VmRSS: many\n"), "sys/class/thermal/thermal_zone0/temp": file("")}),
	} {
		if c, n, h := m.Temperature(), m.RSS(), m.Hardware(); c != nil || n != 0 || h.CPU != "" || h.Board != "" {
			t.Errorf("%s: %v °C, %d bytes, %+v", name, c, n, h)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	for name, c := range map[string]struct {
		groups string
		files  map[string]string
		want   int64
	}{
		"v2":                       {"0::/system.slice/dynvitd.service\n", map[string]string{"system.slice/dynvitd.service/memory.max": "134217728"}, 128 << 20},
		"v2, none":                 {"0::/a\n", map[string]string{"a/memory.max": "max"}, 0},
		"v2, above it":             {"0::/a/b\n", map[string]string{"a/b/memory.max": "max", "a/memory.max": "1000"}, 1000},
		"v2, less above it":        {"0::/a/b\n", map[string]string{"a/b/memory.max": "2000", "a/memory.max": "1000"}, 1000},
		"v2, in a container":       {"0::/\n", map[string]string{"memory.max": "67108864"}, 64 << 20},
		"v2, path of the outside":  {"0::/../kubepods/pod1\n", map[string]string{"memory.max": "67108864"}, 64 << 20},
		"v1":                       {"9:cpu:/x\n4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "1000", "memory/memory.limit_in_bytes": "9223372036854771712"}, 1000},
		"v1, none":                 {"4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "9223372036854771712"}, 0},
		"v1, mounted with another": {"4:cpuset,memory:/a\n", map[string]string{"cpuset,memory/a/memory.limit_in_bytes": "1000"}, 1000},
		"v1 beside v2":             {"4:memory:/a\n0::/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "3000", "unified/a/memory.max": "2000"}, 2000},
		"docker's v1":              {"4:memory:/docker/77\n", map[string]string{"memory/memory.limit_in_bytes": "5000"}, 5000},
		"no groups":                {"", map[string]string{"memory.max": "1000"}, 0},
		"garbage":                  {"memory\n0::/a\n", map[string]string{"a/memory.max": "much"}, 0},
	} {
		root := fstest.MapFS{"proc/self/cgroup": file(c.groups)}
		for path, text := range c.files {
			root["sys/fs/cgroup/"+path] = file(text + "\n")
		}
		if got := At(root).MemoryLimit(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	m := At(os.DirFS("/"))
	if n := m.RSS(); n < 1<<20 {
		t.Errorf("this test runs in %d bytes", n)
	}
}

func TestFingerprint(t *testing.T) {
	root := fstest.MapFS{
		"proc/cpuinfo": file("processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse4_1 avx2 avx512f fma\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse4_1 avx2 fma\n"),
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": file("performance\n"),
		"sys/class/thermal/thermal_zone0/temp":                 file("45500\n"),
		"sys/class/thermal/thermal_zone1/temp":                 file("61000\n"),
		"sys/class/thermal/thermal_zone2/temp":                 file("broken\n"),
		"proc/driver/nvidia/gpus/0000:01:00.0/information":     file("Model: \t\t NVIDIA H200\nIRQ: 1\n"),
	}
	m := At(root).Fingerprint(2)
	warm := 61.0
	want := Fingerprint{Arch: m.Arch, CPU: "AMD EPYC", Features: []string{"avx2", "fma", "sse4_1"}, Cores: 2, Governor: "performance", GPU: "NVIDIA H200", TemperatureC: &warm}
	if !reflect.DeepEqual(m, want) || m.Arch == "" {
		t.Errorf("%+v, want %+v", m, want)
	}
	arm := fstest.MapFS{"proc/cpuinfo": file("processor : 0\nFeatures : fp asimd asimddp\nCPU implementer : 0x41\nCPU part : 0xd0b\n\nprocessor : 1\nFeatures : fp asimd\nCPU implementer : 0x41\nCPU part : 0xd05\n")}
	if m := At(arm).Fingerprint(4); m.CPU != "0x41 0xd0b + 0xd05" || !reflect.DeepEqual(m.Features, []string{"asimd"}) {
		t.Errorf("%+v", m)
	}
	arm["proc/device-tree/model"] = file("Raspberry Pi 5 Model B\x00")
	if m := At(arm).Fingerprint(4); m.CPU != "Raspberry Pi 5 Model B" {
		t.Errorf("CPU %q", m.CPU)
	}
	jetson := fstest.MapFS{
		"proc/device-tree/model":                  file("NVIDIA Jetson Orin Nano Developer Kit\x00"),
		"sys/class/devfreq/17000000.gpu/max_freq": file("624750000\n"),
		"sys/class/devfreq/15340000.vic/max_freq": file("729600000\n"),
		"var/lib/nvpmodel/status":                 file("pmode:0001\n"),
		"etc/nvpmodel.conf":                       file("# modes\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=7W >\n< POWER_MODEL ID=10 NAME=25W >\n"),
		"sys/class/thermal/thermal_zone1/temp":    file("52343\n"),
	}
	if m := At(jetson).Fingerprint(6); m.GPUClockMHz != 624 || m.PowerMode != "7W" || *m.TemperatureC != 52.343 {
		t.Errorf("%+v", m)
	}
	delete(jetson, "etc/nvpmodel.conf")
	jetson["sys/class/devfreq/17000000.gpu/max_freq"] = file("off\n")
	if m := At(jetson).Fingerprint(6); m.GPUClockMHz != 0 || m.PowerMode != "1" {
		t.Errorf("%+v", m)
	}
	jetson["var/lib/nvpmodel/status"] = file("broken\n")
	if m := At(jetson).Fingerprint(6); m.PowerMode != "" {
		t.Errorf("%+v", m)
	}
	if m := At(fstest.MapFS{}).Fingerprint(1); m.CPU != "" || m.Features != nil || m.TemperatureC != nil {
		t.Errorf("of an empty root: %+v", m)
	}
}

func TestFingerprintOfThisMachine(t *testing.T) {
	m := At(os.DirFS("/")).Fingerprint(1)
	if _, err := os.Stat("/proc/cpuinfo"); err == nil && (m.CPU == "" || len(m.Features) == 0) {
		t.Errorf("%+v", m)
	}
	if again := At(os.DirFS("/")).Fingerprint(1); !reflect.DeepEqual(again.Features, m.Features) || again.CPU != m.CPU {
		t.Errorf("%+v, then %+v", m, again)
	}
}
