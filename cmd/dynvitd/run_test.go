package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/internal/needs"
	"dynvit/mqtt/mqtttest"
)

// patience is how long anything may take that does come.
const patience = 3 * time.Minute

// process is a running program whose lines the test waits for.
type process struct {
	*exec.Cmd
	t     *testing.T
	lines chan string
	seen  []string
}

// start runs c and reads the lines of both its outputs.
func start(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	out, in := io.Pipe()
	c.Stdout, c.Stderr = in, in
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: c, t: t, lines: make(chan string, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Wait()
		in.Close()
	}()
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		for range p.lines {
		}
		<-ended
	})
	return p
}

// await returns the first group of the next line that matches.
func (p *process) await(pattern string) string {
	p.t.Helper()
	return p.awaitAll(pattern)[0]
}

// awaitAll waits for a line of each pattern, in whatever order they come (a broker sends
// what it retains in any), and returns the last group of each.
func (p *process) awaitAll(patterns ...string) []string {
	p.t.Helper()
	found := make([]string, len(patterns))
	missing := map[int]*regexp.Regexp{}
	for i, pattern := range patterns {
		missing[i] = regexp.MustCompile(pattern)
	}
	timeout := time.After(patience)
	for len(missing) > 0 {
		select {
		case line, more := <-p.lines:
			if !more {
				p.t.Fatalf("%s ended without %q; it said\n%s", p.Path, slices.Collect(maps.Values(missing)), strings.Join(p.seen, "\n"))
			}
			p.seen = append(p.seen, line)
			for i, re := range missing {
				if m := re.FindStringSubmatch(line); m != nil {
					found[i] = m[len(m)-1]
					delete(missing, i)
				}
			}
		case <-timeout:
			p.t.Fatalf("%s does not say %q; it said\n%s", p.Path, slices.Collect(maps.Values(missing)), strings.Join(p.seen, "\n"))
		}
	}
	return found
}

// end waits for the program's end and returns its exit code.
func (p *process) end() int {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				return p.ProcessState.ExitCode()
			}
			p.seen = append(p.seen, line)
		case <-timeout:
			p.t.Fatalf("%s does not end; it said\n%s", p.Path, strings.Join(p.seen, "\n"))
		}
	}
}

// mosquitto starts Debian's broker at an address and returns its URL.
func mosquitto(t *testing.T, address string) string {
	t.Helper()
	mqtttest.RunMosquitto(t, mqtttest.Listener(address)+"allow_anonymous true\n")
	return "mqtt://" + address
}

// subscriber starts Debian's, whose lines are "topic payload".
func subscriber(t *testing.T, address string) *process {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	// -d tells when it has subscribed; stdbuf, for it else keeps lines back.
	p := start(t, exec.Command("stdbuf", "-oL", needs.Program(t, "mosquitto_sub", "mosquitto-clients"),
		"-h", host, "-p", port, "-t", "dynvit/#", "-q", "1", "-F", "%t %p", "-d"))
	p.await("Subscribed")
	return p
}

const classes = `"label":"(tench|English springer|cassette player|chain saw|church|French horn|garbage truck|gas pump|golf ball|parachute)"`

// photos is a folder of a few of the shared photos, one of each class.
func photos(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	folders, err := os.ReadDir(needs.Shared(t, "data", "imagenette160", "val"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		list, err := filepath.Glob(filepath.Join(needs.Shared(t, "data", "imagenette160", "val"), f.Name(), "*.*"))
		if err != nil || len(list) == 0 {
			t.Fatal(f.Name(), err)
		}
		data, err := os.ReadFile(list[0])
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, f.Name()+filepath.Ext(list[0]), string(data))
	}
	return dir
}

// TestRunShowsAndEnds is the demo, shortened.
func TestRunShowsAndEnds(t *testing.T) {
	stdout, stderr, code := outcome(t, dynvitd(t, "run", "--source", "test:?frames=12&fps=10", "--node", "box"))
	if code != 0 || !regexp.MustCompile(`(?m)^[\d:.]+  cam0  .*%.*tokens \[197 138 97 68\]$`).MatchString(stdout) ||
		!regexp.MustCompile(`\n\d+ frames, \d+ dropped, in [\d.]+ s\n$`).MatchString(stdout) {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "embedded broker started") || !strings.Contains(stderr, "topics=dynvit/box/#") {
		t.Errorf("the broker is not told: %s", stderr)
	}
}

// TestRunJSON: stdout is JSON alone, one frame a line.
func TestRunJSON(t *testing.T) {
	stdout, stderr, code := outcome(t, dynvitd(t, "run", "--json", "--source", "test:?frames=3&fps=2"))
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) == 0 {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	for _, line := range lines {
		var frame struct {
			Camera string
			Seq    int
			Score  float64
			Top    []ranked
		}
		if err := json.Unmarshal([]byte(line), &frame); err != nil || frame.Camera != "cam0" || frame.Seq < 1 || len(frame.Top) != 5 {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestRunPublishes: photos and a film, over Debian's broker and the embedded
// one, reach Debian's subscriber; SIGTERM says stopped.
func TestRunPublishes(t *testing.T) {
	film := needs.Shared(t, "data", "video", "car-detection.mp4")
	for name, source := range map[string]func() string{
		"photos": func() string { return photos(t) + "?loop=1&fps=10" },
		"film":   func() string { needs.Program(t, "ffmpeg", "ffmpeg"); return film + "?loop=1" },
	} {
		for _, broker := range []string{"mosquitto", "embedded"} {
			t.Run(name+"/"+broker, func(t *testing.T) { testPublishes(t, name, source(), broker) })
		}
	}
}

func testPublishes(t *testing.T, name, source, broker string) {
	args := []string{"run", "--node", "box", "--source", source}
	address := ""
	if broker == "mosquitto" {
		address = mqtttest.Reserve(t)
		args = append(args, "--broker", mosquitto(t, address))
	}
	d := start(t, dynvitd(t, args...))
	if broker == "embedded" {
		address = d.await(`embedded broker started.*mqtt://(\S+) topics`)
	}
	d.await("msg=ready")
	s := subscriber(t, address)
	state := s.awaitAll(`^dynvit/box/camera/cam0/state (\{.*\})$`, `^dynvit/box/status online$`)[0]
	if name == "photos" && !regexp.MustCompile(classes).MatchString(state) {
		s.await(`^dynvit/box/camera/cam0/event .*` + classes)
	}
	var got struct {
		Schema int
		Score  *float64
		Tokens []int
	}
	if err := json.Unmarshal([]byte(state), &got); err != nil || got.Schema != 1 || got.Score == nil || len(got.Tokens) != 4 {
		t.Errorf("state %s: %v", state, err)
	}
	d.Process.Signal(syscall.SIGTERM)
	s.await(`^dynvit/box/status stopped$`)
	if code := d.end(); code != 0 {
		t.Errorf("exit %d after SIGTERM\n%s", code, strings.Join(d.seen, "\n"))
	}
}

// TestKilledRunLeavesItsWill: kill -9 makes the broker say offline.
func TestKilledRunLeavesItsWill(t *testing.T) {
	address := mqtttest.Reserve(t)
	d := start(t, dynvitd(t, "run", "--node", "box", "--source", "test:", "--broker", mosquitto(t, address)))
	s := subscriber(t, address)
	s.await(`^dynvit/box/status online$`)
	d.Process.Kill()
	s.await(`^dynvit/box/status offline$`)
}

// TestRunWaits: with the camera gone and the broker away from the start the
// daemon is ready, says both, and publishes as soon as they come.
func TestRunWaits(t *testing.T) {
	needs.Program(t, "mosquitto", "mosquitto")
	address, page := mqtttest.Reserve(t), mqtttest.Reserve(t)
	dir := filepath.Join(t.TempDir(), "pictures")
	config := write(t, t.TempDir(), "dynvit.yaml", fmt.Sprintf(`
node: box
mqtt: {broker: "mqtt://%s"}
http: {listen: "%s"}
cameras: {door: {source: "file:%s?loop=1&fps=5", stable: 1}}
`, address, page, dir))
	d := start(t, dynvitd(t, "run", "--config", config))
	d.await("msg=ready")
	d.await(`camera offline.*no such file`)
	if !strings.Contains(strings.Join(d.seen, "\n"), "connection refused") {
		d.await("connection refused")
	}
	if code, body := fetch(t, "http://"+page+"/readyz"); code != 200 || !strings.Contains(body, `"connected":false`) {
		t.Errorf("readyz: %d %s", code, body)
	}
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a.jpg", string(data))
	mosquitto(t, address)
	s := subscriber(t, address)
	s.await(`^dynvit/box/camera/door/state `)
	if code, body := fetch(t, "http://"+page+"/healthz"); code != 200 || !strings.Contains(body, `"connected":true`) {
		t.Errorf("healthz: %d %s", code, body)
	}
	d.Process.Signal(syscall.SIGTERM)
	s.await(`^dynvit/box/status stopped$`)
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, body.String()
}

// TestPortsInUse: a busy port is an error of one line.
func TestPortsInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, stderr, code := outcome(t, dynvitd(t, "run", "--source", "test:", "--broker", "mqtt://127.0.0.1:1", "--http", l.Addr().String(), "--log-level", "error"))
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "address already in use") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// TestRunTakesCommands by Debian's publisher: the answer comes, and settings show
// what holds.
func TestRunTakesCommands(t *testing.T) {
	address := mqtttest.Reserve(t)
	d := start(t, dynvitd(t, "run", "--node", "box", "--source", "test:", "--keep", "0.7", "--broker", mosquitto(t, address)))
	s := subscriber(t, address)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	s.await(`^dynvit/box/status online$`)
	publish := func(topic, payload string) {
		t.Helper()
		if out, err := exec.Command(needs.Program(t, "mosquitto_pub", "mosquitto-clients"), "-h", host, "-p", port, "-q", "1", "-t", topic, "-m", payload).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	d.await("msg=ready")
	publish("dynvit/box/cmd/keep", `{"id":"7","value":0.5}`)
	s.await(`^dynvit/box/settings .*"keep":0\.5`)
	s.await(`^dynvit/box/cmd/keep/result \{"id":"7","ok":true,"error":null,"value":0\.5\}$`)
	publish("dynvit/box/cmd/budget", `a lot`)
	s.await(`^dynvit/box/cmd/budget/result .*"ok":false`)
	publish("dynvit/box/status", "offline") // as a late will
	s.await(`^dynvit/box/status offline$`)
	s.await(`^dynvit/box/status online$`)
	d.Process.Signal(syscall.SIGTERM)
	s.await(`^dynvit/box/status stopped$`)
}
