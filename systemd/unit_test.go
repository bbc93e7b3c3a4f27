package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// missing skips the test for want of what, or fails it where everything must
// run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("DYNVIT_REQUIRE") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" is missing: install the Debian package systemd")
	}
	return path
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// unit is a unit's settings: the values of "Section.Key", in order.
type unit map[string][]string

func readUnit(t *testing.T, file string) unit {
	t.Helper()
	u, section := make(unit), ""
	for line := range strings.Lines(read(t, file)) {
		line = strings.TrimSpace(line)
		switch key, value, ok := strings.Cut(line, "="); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case ok:
			u[section+"."+key] = append(u[section+"."+key], value)
		default:
			t.Fatalf("%s: line %q", file, line)
		}
	}
	return u
}

func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s is given %d times", key, len(u[key]))
	}
	return u[key][0]
}

func TestUnit(t *testing.T) {
	u := readUnit(t, "dynvitd.service")
	for key, want := range map[string]string{
		"Service.Type":                     "notify",
		"Service.NotifyAccess":             "main",
		"Service.ExecStart":                "/usr/bin/dynvitd run --config /etc/dynvit/dynvit.yaml",
		"Service.User":                     "dynvit",
		"Service.SupplementaryGroups":      "video render",
		"Service.StateDirectory":           "dynvit",
		"Service.Restart":                  "on-failure",
		"Service.RestartPreventExitStatus": "2 78",
		"Install.WantedBy":                 "multi-user.target",
	} {
		if got := u.one(t, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if d, err := time.ParseDuration(u.one(t, "Service.WatchdogSec")); err != nil || d < 10*time.Second {
		t.Errorf("WatchdogSec is %v, %v; want at least ten seconds", d, err)
	}
	for _, key := range []string{
		"Service.PrivateDevices", "Service.DevicePolicy", "Service.DeviceAllow", "Service.ProtectClock", // no cameras
		"Service.PrivateNetwork", "Service.MemoryDenyWriteExecute",
		"Unit.Requires", "Unit.BindsTo", // nothing may take the daemon down or keep it from starting
	} {
		if u[key] != nil {
			t.Errorf("%s is set to %q", key, u[key])
		}
	}
	if order := strings.Join(append(u["Unit.After"], u["Unit.Wants"]...), " "); strings.Contains(order, "network-online") {
		t.Errorf("an absent network delays the start: %s", order)
	}
}

// The page of commands and flags is not part of the repository.
func TestUnitFollowsTheInterface(t *testing.T) {
	page := filepath.Join("..", "..", "shared", "docs", "INTERFACE.md")
	data, err := os.ReadFile(page)
	if err != nil {
		missing(t, "the page INTERFACE.md is missing beside the checkout: shared/docs")
	}
	args := strings.Fields(readUnit(t, "dynvitd.service").one(t, "Service.ExecStart"))
	if !strings.Contains(string(data), "dynvitd run ") || args[1] != "run" {
		t.Errorf("the unit runs %q", args)
	}
	for _, flag := range slices.DeleteFunc(args[2:], func(a string) bool { return a[0] != '-' }) {
		if !strings.Contains(string(data), "["+flag+" ") {
			t.Errorf("flag %s is not in INTERFACE.md", flag)
		}
	}
	for _, path := range []string{"/etc/dynvit/dynvit.yaml", "$STATE_DIRECTORY", "service user `dynvit`, groups video and render"} {
		if !strings.Contains(string(data), path) {
			t.Errorf("INTERFACE.md no longer says %s", path)
		}
	}
}

func TestSystemdAcceptsTheUnit(t *testing.T) {
	analyze := program(t, "systemd-analyze")
	// The program need not be installed where the tests run.
	text := strings.Replace(read(t, "dynvitd.service"), "/usr/bin/dynvitd", "/bin/true", 1)
	file := filepath.Join(t.TempDir(), "dynvitd.service")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", file).CombinedOutput()
	if err != nil || len(out) > 0 { // unknown directives are a line, not a failure
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestSystemdAcceptsTheUsers(t *testing.T) {
	file, err := filepath.Abs("dynvitd.sysusers")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program(t, "systemd-sysusers"), "--dry-run", "--root="+t.TempDir(), file).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-sysusers: %v\n%s", err, out)
	}
	for _, want := range []string{"group 'video'", "group 'render'", "user 'dynvit'"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("systemd-sysusers does not create %s:\n%s", want, out)
		}
	}
}
