package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What a Debian of arm64 needs to install a package, whose scripts it runs.
const foreignPrograms = "dpkg coreutils dash bash sed grep findutils diffutils libc-bin passwd systemd-standalone-sysusers"

// fetchForeign lays them and what they need into the folder root, by an apt that knows
// nothing of this machine's packages.
const fetchForeign = `mkdir -p state/lists/partial cache/archives/partial root
	: >status
	apt="apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State=$PWD/state -o Dir::State::status=$PWD/status
		-o Dir::Cache=$PWD/cache -o Debug::NoLocking=1 -o APT::Sandbox::User=root"
	$apt update
	$apt install -y --no-install-recommends --download-only ` + foreignPrograms + `
	for p in cache/archives/*.deb; do dpkg-deb -x "$p" root; done
	echo root:x:0:0:root:/root:/bin/sh >root/etc/passwd
	echo root:x:0: >root/etc/group
	mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates root/root
	: >root/var/lib/dpkg/status`

// runForeign is a script's beginning that has the kernel run arm64's programs by qemu, in
// this namespace of users alone, and the end of which runs in root.
const runForeign = `mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 70
	echo ':arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$1"':F' >/proc/sys/fs/binfmt_misc/register || exit 70
	mount --rbind /dev root/dev
	mount --rbind /proc root/proc
	exec chroot root /bin/bash -ec "$0"`

// foreign is a Debian of arm64 whose programs run under emulation.
type foreign struct {
	t         *testing.T
	dir, qemu string
}

func newForeign(t *testing.T) foreign {
	t.Helper()
	f := foreign{t, t.TempDir(), need(t, "qemu-aarch64-static", "qemu-user-static")}
	if os.Getuid() != 0 {
		missing(t, "only root can install packages")
	}
	// The root is the test's to read and to walk, for users other than root.
	for dir := f.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("bash", "-ec", fetchForeign)
	c.Dir = f.dir
	if out, err := c.CombinedOutput(); err != nil {
		missing(t, "Debian's packages for arm64 cannot be fetched: "+err.Error()+"\n"+string(out))
	}
	return f
}

// do runs a script in it that must succeed, and returns what it says. Its mounts end with it.
func (f foreign) do(script string) string {
	f.t.Helper()
	c := exec.Command("bash", "-c", runForeign, script, f.qemu)
	c.Dir = f.dir
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root"}
	all := []syscall.SysProcIDMap{{Size: 65536}}
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: all, GidMappings: all, GidMappingsEnableSetgroups: true,
	}
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() == 70 {
		missing(f.t, "the kernel runs no other's programs in a namespace of users (Linux 6.7 does): "+string(out))
	}
	if err != nil {
		f.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// TestForeignDeb installs the package for arm64 in a Debian of arm64, all of whose programs
// run under emulation, as the package's do: it looks at a picture, and is purged.
func TestForeignDeb(t *testing.T) {
	f := newForeign(t)
	picture, err := os.ReadFile("../vit/testdata/golfball.png")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "root", "golfball.png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "root", "dynvit.deb"), made(t, "_arm64.deb").data, 0o644); err != nil {
		t.Fatal(err)
	}
	const everything = `find /etc /usr /var/lib -xdev -iname '*dynvit*' -not -path '*/dpkg/*'; getent passwd dynvit || true`
	if out := f.do("uname -m; dpkg --print-architecture; " + everything); out != "aarch64\narm64\n" {
		t.Fatalf("before the package there is %q", out)
	}
	// Nothing is registered as installed, not even libc.
	out := f.do("dpkg --no-triggers --force-depends -i /dynvit.deb; stat -c '%U:%G %a' /etc/dynvit/dynvit.yaml; dynvitd version; " +
		"chroot --userspec dynvit:dynvit / /usr/bin/dynvitd config check /etc/dynvit/dynvit.yaml; " +
		"dynvitd classify --json --keep 0.7 /golfball.png; test -e /usr/share/dynvit/alerts.yaml")
	for _, want := range []string{
		"root:dynvit 640", " linux/arm64", "/etc/dynvit/dynvit.yaml: good, cameras: 1, broker embedded", `"backend":"neon"`, `"label":"golf ball","score":0.9`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("installed, it does not say %q but\n%s", want, out)
		}
	}
	f.do("dpkg --no-triggers --force-depends -P dynvit")
	if out := f.do(everything); out != "" {
		t.Errorf("purged, there is left %q", out)
	}
}
