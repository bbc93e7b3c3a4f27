package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"dynvit/internal/needs"
	"dynvit/mqtt/mqtttest"
)

// canary begins every secret of these tests, so that one that got out is found by it and
// named by what follows.
const canary = "canary-"

var found = regexp.MustCompile(canary + `[a-z]+`)

// leaks are the secrets in a text, also where it is escaped or base64 would be.
func leaks(t *testing.T, where, text string) {
	t.Helper()
	if got := found.FindAllString(text, -1); got != nil {
		t.Errorf("%s shows %q:\n%.2000s", where, got, text)
	}
}

// TestSecretsStayIn runs a daemon that was given a secret in every place where one can be
// given, with cameras that answer, refuse and are not there, and looks for them in all
// that it says: log, topics, discovery, pages, profiles, files and their names, and what
// is left of a crash.
func TestSecretsStayIn(t *testing.T) {
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	camera := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/gone":
			http.Error(w, "no such camera", http.StatusNotFound)
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://127.0.0.9:1"+r.URL.RequestURI(), http.StatusFound)
		case password != canary+"password":
			w.Header().Set("WWW-Authenticate", `Basic realm="cam"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
		default:
			w.Write(data)
		}
	}))
	defer camera.Close()
	host := strings.TrimPrefix(camera.URL, "http://")

	dir, state, credentials := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, credentials, "mqtt", canary+"broker\n")
	words, broker, page := filepath.Join(dir, "words"), mqtttest.Reserve(t), mqtttest.Reserve(t)
	if out, err := exec.Command(needs.Program(t, "mosquitto_passwd", "mosquitto"), "-b", "-c", words, "cam", canary+"broker").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	if err := os.Chmod(words, 0o644); err != nil { // mosquitto reads it as another user
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mqtttest.RunMosquitto(t, mqtttest.Listener(broker)+"password_file "+words+"\n")
	told := collector(t, broker, "-u", "cam", "-P", canary+"broker", "-t", "homeassistant/#", "-i", "reader")

	config := write(t, dir, "dynvit.yaml", fmt.Sprintf(`
node: box
log: {level: debug}
mqtt: {broker: "mqtt://%[1]s", username: cam}
http: {listen: "%[2]s", token_file: %[4]s, pprof: true}
cameras:
  door: {source: "http://%[5]suser:%[5]spassword@%[3]s/shot?key=%[5]squery#fps=20", stable: 1, publish: {snapshot: true, frame: true}}
  wrong: {source: "http://%[5]suser:%[5]sother@%[3]s/user=x&password=%[5]spath/shot"}
  gone: {source: "http://%[3]s/gone?key=%[5]squery"}
  away: {source: "http://%[3]s/away?key=%[5]squery"}
  stream: {source: "rtsp://%[5]suser:%[5]spassword@127.0.0.1:1/user=x&password=%[5]spath/"}
  child: {source: "exec:/bin/ls --key=%[5]sargument /nowhere"}
`, broker, page, host, write(t, dir, "token", canary+"httptoken\n"), canary))
	command := func(args ...string) *exec.Cmd {
		c := dynvitd(t, args...)
		c.Env = append(c.Env, "STATE_DIRECTORY="+state, "CREDENTIALS_DIRECTORY="+credentials, "GOTRACEBACK=crash",
			"DYNVIT_CAMERAS_FROMENV_SOURCE=https://"+canary+"user:"+canary+"env@127.0.0.1:1/?key="+canary+"query")
		return c
	}
	for _, args := range [][]string{{"config", "print", "--config", config}, {"config", "check", config}} {
		stdout, stderr, code := outcome(t, command(args...))
		if code != 0 {
			t.Errorf("%q: exit %d, %s", args, code, stderr)
		}
		leaks(t, strings.Join(args[:2], " "), stdout+stderr)
	}

	d := start(t, command("run", "--config", config))
	d.await("msg=ready")
	for _, name := range []string{"wrong", "gone", "away", "stream", "child", "fromenv"} {
		if !strings.Contains(strings.Join(d.seen, "\n"), "camera="+name) {
			d.await("camera (offline|stalled).*camera=" + name + "|camera=" + name + ".*")
		}
	}
	lines := told(1, `^dynvit/box/camera/door/event `)
	lines = append(lines, told(1, `^dynvit/box/stats |^dynvit/box/camera/door/snapshot `)...)
	lines = append(lines, told(7, `^homeassistant/device/dynvit_box/`)...)
	leaks(t, "MQTT", strings.Join(lines, "\n"))
	for _, path := range []string{
		"/healthz", "/readyz", "/metrics", "/nothing", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=1",
		"/debug/pprof/goroutine", "/debug/pprof/goroutine?debug=1", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap", "/debug/pprof/heap?debug=1",
		"/debug/pprof/allocs", "/debug/pprof/block", "/debug/pprof/mutex", "/debug/pprof/threadcreate",
	} {
		for _, token := range []string{canary + "httptoken", ""} {
			leaks(t, path, pageOf(t, "http://"+page+path, token))
		}
	}
	d.Process.Signal(syscall.SIGABRT)
	d.end()
	leaks(t, "the log and the crash", strings.Join(d.seen, "\n"))
	if !strings.Contains(strings.Join(d.seen, "\n"), "goroutine ") {
		t.Error("nothing was left of the crash")
	}
	err = filepath.WalkDir(state, func(path string, e fs.DirEntry, err error) error {
		leaks(t, "a file's name", path)
		if err != nil || e.IsDir() {
			return err
		}
		kept, err := os.ReadFile(path)
		leaks(t, path, string(kept))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// pageOf is what a page shows, profiles unpacked.
func pageOf(t *testing.T, url, token string) string {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if packed, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		if body, err = io.ReadAll(packed); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprint(answer.Header, string(body))
}

// TestMistakesKeepSecrets: what is wrong is named without the secret in it, wherever
// somebody has put one.
func TestMistakesKeepSecrets(t *testing.T) {
	dir := t.TempDir()
	n := 0
	file := func(text string) string {
		n++
		return write(t, dir, fmt.Sprintf("%d.yaml", n), strings.ReplaceAll(text, "CANARY", canary))
	}
	const cameras = "cameras: {door: {source: \"test:\"}}\n"
	short := write(t, dir, "short", canary+"x\n")
	key := write(t, dir, "key", "-----BEGIN PRIVATE KEY-----\n"+canary+"key\n-----END PRIVATE KEY-----\n")
	run := func(text string) []string { return []string{"run", "--config", file(text)} }
	check := func(text string) []string { return []string{"config", "check", file(text)} }
	source := func(uri string) []string {
		return check("mqtt: {broker: embedded}\ncameras: {door: {source: \"" + uri + "\"}}\n")
	}
	cases := map[string][]string{
		"broker's URL":       check("mqtt: {broker: \"mqtt://CANARYuser:CANARYpassword@broker.lan\"}\n" + cameras),
		"broker's query":     check("mqtt: {broker: \"mqtt://broker.lan/?password=CANARYpassword\"}\n" + cameras),
		"broker, no scheme":  check("mqtt: {broker: \"CANARYuser:CANARYpassword@broker.lan\"}\n" + cameras),
		"broker's flag":      {"run", "--broker", "mqtt://" + canary + "user:" + canary + "password@broker.lan", "--source", "test:"},
		"password as a key":  check("mqtt: {broker: embedded, password: CANARYpassword}\n" + cameras),
		"token as a key":     check("mqtt: {broker: embedded}\nhttp: {token: CANARYtoken}\n" + cameras),
		"short token":        run("mqtt: {broker: \"mqtt://127.0.0.1:1\"}\nhttp: {listen: \"1\", token_file: " + short + "}\n" + cameras),
		"key of the server":  run("mqtt: {broker: \"mqtt://127.0.0.1:1\"}\nhttp: {listen: \"1\", cert_file: " + key + ", key_file: " + key + "}\n" + cameras),
		"key of the client":  run("mqtt: {broker: \"mqtts://127.0.0.1:1\", cert_file: " + key + ", key_file: " + key + "}\n" + cameras),
		"# in a password":    source("rtsp://user:CANARYpass#word@cam.lan/"),
		"no host":            source("http://user:CANARYpassword@:0/"),
		"no scheme":          source("user:CANARYpassword@cam.lan/x"),
		"unknown scheme":     source("htp://user:CANARYpassword@cam.lan/x"),
		"bad port":           source("http://user:CANARYpassword@cam.lan:99999/x"),
		"bad escape":         source("http://user:CANARYpass%zzword@cam.lan/x"),
		"bad option":         source("rtsp://user:CANARYpassword@cam.lan/x#speed=1"),
		"bad option's value": source("http://user:CANARYpassword@cam.lan/x?key=CANARYquery#fps=much"),
		"fingerprint":        check("mqtt: {broker: embedded}\ncameras: {door: {source: \"http://u:CANARYpassword@cam.lan\", fingerprint: 00}}\n"),
		"source's flag":      {"run", "--source", "htp://u:" + canary + "password@cam/"},
		"no such camera":     {"run", "--source", "file:/nowhere", "--source", "http://u:" + canary + "password@127.0.0.1:1/?key=" + canary + "query"},
		"bench":              {"bench", "--seconds", "0.1", "--source", "rtsp://u:" + canary + "password@127.0.0.1:1/x?key=" + canary + "query"},
		"calibrate":          {"calibrate", "--budget", "25ms", "--limit", "1s", "--source", "exec:/bin/ls --key=" + canary + "argument /nowhere"},
		"mirror":             {"model", "pull", "deit-tiny", "--mirror", "http://u:" + canary + "password@127.0.0.1:1/x?key=" + canary + "query"},
		"bad mirror":         {"model", "pull", "deit-tiny", "--mirror", "ftp://u:" + canary + "password@127.0.0.1:1/x?key=" + canary + "query"},
	}
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := outcome(t, dynvitd(t, args...))
			if code == 0 || strings.Count(stderr, "\n") < 1 {
				t.Errorf("exit %d, %q", code, stderr)
			}
			leaks(t, strings.Join(args[:2], " "), stdout+stderr)
		})
	}
	for name, value := range map[string]string{
		"DYNVIT_MQTT_PASSWORD": "CANARYpassword", "DYNVIT_MQTT_BROKER": "mqtt://u:CANARYpassword@broker.lan", "DYNVIT_HTTP_TOKEN": "CANARYtoken",
		"DYNVIT_CAMERAS_DOOR_SOURCE": "htp://u:CANARYpassword@cam/", "DYNVIT_CAMERAS_DOOR_PASSWORD": "CANARYpassword",
	} {
		c := dynvitd(t, "config", "check", file("mqtt: {broker: embedded}\n"+cameras))
		c.Env = append(c.Env, name+"="+strings.ReplaceAll(value, "CANARY", canary))
		stdout, stderr, code := outcome(t, c)
		if code == 0 {
			t.Errorf("%s: exit 0, %s", name, stdout)
		}
		leaks(t, name, stdout+stderr)
	}
}
