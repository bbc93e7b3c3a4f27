package systemd

import (
	"dynvit/internal/needs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
		"Service.NoNewPrivileges":          "yes",
		"Service.SupplementaryGroups":      "video render",
		"Service.StateDirectory":           "dynvit",
		"Service.Restart":                  "on-failure",
		"Service.RestartPreventExitStatus": "78",
		"Service.Environment":              "GOTRACEBACK=crash CUDA_CACHE_PATH=%S/dynvit/cuda",
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

// TestUnitFollowsTheInterface: the unit does what docs/interface.md says of it.
func TestUnitFollowsTheInterface(t *testing.T) {
	page := read(t, filepath.Join("..", "docs", "interface.md"))
	u := readUnit(t, "dynvitd.service")
	groups := strings.Fields(u.one(t, "Service.SupplementaryGroups"))
	code := u.one(t, "Service.RestartPreventExitStatus")
	if len(groups) != 2 {
		t.Fatalf("groups %q: want two", groups)
	}
	command := strings.Replace(u.one(t, "Service.ExecStart"), "/usr/bin/", "", 1)
	says := "`" + command + "` as user `" + u.one(t, "Service.User") + "` in the groups `" + groups[0] + "` and `" + groups[1] +
		"`, state in `$STATE_DIRECTORY`, and starts it again after every failure but exit code " + code
	if !strings.Contains(page, says) {
		t.Errorf("docs/interface.md does not say %q", says)
	}
}

func TestSystemdAcceptsTheUnit(t *testing.T) {
	analyze := needs.Program(t, "systemd-analyze", "systemd")
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

// TestExposure holds what systemd makes of the unit's hardening; what it leaves open
// is what cameras and GPUs need, which TestUnit names.
func TestExposure(t *testing.T) {
	const most = "2.0"
	out, err := exec.Command(needs.Program(t, "systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager", "--threshold="+strings.ReplaceAll(most, ".", ""), "dynvitd.service").CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	if err != nil || !strings.Contains(last, "exposure level for dynvitd.service: ") {
		t.Errorf("%v, want at most %s: %s", err, most, last)
	}
	t.Log(last)
}

// TestSystemdAcceptsTheFolders makes them in an empty root that has the user.
func TestSystemdAcceptsTheFolders(t *testing.T) {
	if os.Getuid() != 0 {
		needs.Missing(t, "only root gives folders away")
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"passwd": "dynvit:x:4711:4711::/:/bin/false\n", "group": "dynvit:x:4711:\n"} {
		if err := os.WriteFile(filepath.Join(root, "etc", file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := filepath.Abs("dynvitd.tmpfiles")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(needs.Program(t, "systemd-tmpfiles", "systemd"), "--create", "--root="+root, file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("systemd-tmpfiles: %v\n%s", err, out)
	}
	for folder, mode := range map[string]os.FileMode{"var/lib/dynvit": 0o750, "var/lib/dynvit/models": 0o755} {
		info, err := os.Stat(filepath.Join(root, folder))
		if err != nil || info.Mode().Perm() != mode || info.Sys().(*syscall.Stat_t).Uid != 4711 {
			t.Errorf("%s: %v, %v", folder, info, err)
		}
	}
}

func TestSystemdAcceptsTheUsers(t *testing.T) {
	file, err := filepath.Abs("dynvitd.sysusers")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(needs.Program(t, "systemd-sysusers", "systemd"), "--dry-run", "--root="+t.TempDir(), file).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-sysusers: %v\n%s", err, out)
	}
	for _, want := range []string{"group 'video'", "group 'render'", "user 'dynvit'"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("systemd-sysusers does not create %s:\n%s", want, out)
		}
	}
}
