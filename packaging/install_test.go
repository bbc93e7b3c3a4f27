package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// box is a copy of this machine's file system, written over in a folder of its own: a
// place to install into.
type box struct {
	t    *testing.T
	dir  string
	said *bytes.Buffer // by all scripts
}

func newBox(t *testing.T) box {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "only root can install packages")
	}
	b := box{t, t.TempDir(), new(bytes.Buffer)}
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(b.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := b.try("true"); err != nil {
		missing(t, "no file system can be laid over this one here: "+err.Error()+": "+out)
	}
	return b
}

// try runs a script in the box; its mounts end with it.
func (b box) try(script string) (string, error) {
	c := exec.Command("unshare", "--mount", "sh", "-ec", `
		mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
		mount -t proc proc root/proc
		mount --rbind /dev root/dev
		exec chroot root sh -ec "$0"`, script)
	c.Dir = b.dir
	c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := c.CombinedOutput()
	return string(out), err
}

// do runs a script that must succeed, and returns what it says.
func (b box) do(script string) string {
	b.t.Helper()
	out, err := b.try(script)
	b.said.WriteString(out)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// keptSecret: nothing of what was done showed the password of the edited configuration.
func (b box) keptSecret() {
	b.t.Helper()
	if strings.Contains(b.said.String(), "canary") {
		b.t.Errorf("a password was shown:\n%s", b.said)
	}
}

// put lays a product into the box's root.
func (b box) put(name string, p product) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "upper", name), p.data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// newer is a package of a later version whose default configuration is another.
func newer(t *testing.T, kind, arch string) product {
	t.Helper()
	b := *gathered(t)
	p := *b.program
	p.version, b.program = "9.9.9", &p
	for _, l := range distributions(b.root) {
		if l.kind != kind {
			continue
		}
		list, err := b.installed(arch, l)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if list[i].path == "/etc/dynvit/dynvit.yaml" {
				list[i].data = append(bytes.Clone(list[i].data), "# newer\n"...)
			}
		}
		made, err := b.linuxPackage(arch, l, list)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	t.Fatalf("no package is of kind %s", kind)
	return product{}
}

const (
	traces = `find /etc /usr /var/lib /var/log /opt -xdev -iname '*dynvit*' -not -path '*/dpkg/*' | sort; getent passwd dynvit || true; getent group dynvit || true`
	edit   = `sed -i 's/^#node: .*/node: edited/; s|source: "test:"|source: "http://user:canary@127.0.0.1:1/"|' /etc/dynvit/dynvit.yaml
		grep -q '^node: edited' /etc/dynvit/dynvit.yaml; grep -q canary /etc/dynvit/dynvit.yaml`
	state = `mkdir -p /var/lib/dynvit/outbox; echo kept >/var/lib/dynvit/outbox/1; chown -R dynvit:dynvit /var/lib/dynvit`
)

// TestDeb installs, edits, upgrades, removes, installs again and purges.
func TestDeb(t *testing.T) {
	need(t, "dpkg", "dpkg")
	b := newBox(t)
	before := b.do(traces)
	b.put("one.deb", made(t, "_amd64.deb"))
	b.put("two.deb", newer(t, "deb", "amd64"))
	b.do("dpkg --no-triggers -i /one.deb")
	checkInstalled(b)
	b.do(edit + "; " + state)
	b.do("dpkg --no-triggers --force-confdef -i /two.deb </dev/null")
	b.do(`grep -q '^node: edited' /etc/dynvit/dynvit.yaml; ! grep -q newer /etc/dynvit/dynvit.yaml`)
	checkInstalled(b)
	b.do("dpkg --no-triggers -r dynvit; test ! -e /usr/bin/dynvitd; grep -q kept /var/lib/dynvit/outbox/1; " +
		"grep -q '^node: edited' /etc/dynvit/dynvit.yaml; getent passwd dynvit")
	b.do("dpkg --no-triggers -i /two.deb </dev/null; grep -q '^node: edited' /etc/dynvit/dynvit.yaml; dpkg --no-triggers -P dynvit")
	if after := b.do(traces); after != before {
		t.Errorf("purged, there is left\n%s\nand before there was\n%s", after, before)
	}
	b.keptSecret()
}

// TestReadme: the README's way from the package to Home Assistant is short, and the line
// that it changes is in the configuration that the package brings.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "entities in Home Assistant")
	parts := strings.SplitN(after, "```", 3)
	if len(parts) != 3 {
		t.Fatal("the README does not say how to come to Home Assistant")
	}
	steps := strings.Split(strings.TrimSpace(parts[1]), "\n")
	if len(steps) > 5 {
		t.Errorf("%d commands, at most five: %q", len(steps), steps)
	}
	b := newBox(t)
	b.put("one.deb", made(t, "_amd64.deb"))
	b.do("dpkg --no-triggers -i /one.deb; cp /etc/dynvit/dynvit.yaml /before")
	for _, step := range steps {
		if edit, ok := strings.CutPrefix(step, "sudo sed "); ok {
			b.do("sed " + edit)
		}
	}
	if out := b.do("diff /before /etc/dynvit/dynvit.yaml | grep -c '^>' || true; dynvitd config check /etc/dynvit/dynvit.yaml"); out != "1\n/etc/dynvit/dynvit.yaml: good, cameras: 1, broker mqtt://homeassistant.local\n" {
		t.Errorf("edited as the README says: %s", out)
	}
}

// TestDebOfNoEdits: a configuration that nobody edited becomes the newer one, and keeps
// its group.
func TestDebOfNoEdits(t *testing.T) {
	b := newBox(t)
	b.put("one.deb", made(t, "_amd64.deb"))
	b.put("two.deb", newer(t, "deb", "amd64"))
	b.do("dpkg --no-triggers -i /one.deb; dpkg --no-triggers -i /two.deb; grep -q newer /etc/dynvit/dynvit.yaml")
	checkInstalled(b)
}

// checkInstalled: the daemon's user can read its configuration, others can't, and the
// program takes it.
func checkInstalled(b box) {
	b.t.Helper()
	for script, want := range map[string]string{
		"stat -c '%U:%G %a' /etc/dynvit/dynvit.yaml":                                                          "root:dynvit 640",
		"getent passwd dynvit | cut -d: -f6-7":                                                                "/var/lib/dynvit:/usr/sbin/nologin",
		"setpriv --reuid dynvit --regid dynvit --clear-groups dynvitd config check /etc/dynvit/dynvit.yaml":   "/etc/dynvit/dynvit.yaml: good, cameras: 1, broker embedded",
		"setpriv --reuid nobody --clear-groups --regid nogroup cat /etc/dynvit/dynvit.yaml 2>&1 || true":      "cat: /etc/dynvit/dynvit.yaml: Permission denied",
		"systemd-analyze verify --man=no dynvitd.service 2>&1 | grep -i dynvit || true":                       "",
		"bash -c '. /usr/share/bash-completion/completions/dynvitd && complete -p dynvitd' | grep -c dynvitd": "1",
	} {
		if got := strings.TrimSpace(b.do(script)); got != want {
			b.t.Errorf("%s says\n%s\nwant\n%s", script, got, want)
		}
	}
}

// TestRPM installs, edits, upgrades and erases.
func TestRPM(t *testing.T) {
	need(t, "rpm", "rpm")
	b := newBox(t)
	b.put("one.rpm", made(t, ".x86_64.rpm"))
	b.put("two.rpm", newer(t, "rpm", "amd64"))
	b.do("mkdir -p /var/lib/rpm; rpm --initdb; rpm --nodeps -i /one.rpm")
	checkInstalled(b)
	b.do(edit + "; " + state + "; rpm --nodeps -U /two.rpm; grep -q '^node: edited' /etc/dynvit/dynvit.yaml; grep -q newer /etc/dynvit/dynvit.yaml.rpmnew; rm /etc/dynvit/dynvit.yaml.rpmnew")
	checkInstalled(b)
	b.do("rpm -e dynvit; test ! -e /usr/bin/dynvitd; grep -q '^node: edited' /etc/dynvit/dynvit.yaml.rpmsave; grep -q kept /var/lib/dynvit/outbox/1")
	b.keptSecret()
}
