package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/camera"
	schemes "dynvit/camera/all"
	"dynvit/internal/needs"
	"dynvit/mqtt/mqtttest"
)

// often is how often a fault is repeated: in full by `make test-faults`, less
// often among all other tests.
func often(full, short int) int {
	if os.Getenv("DYNVIT_FAULTS") != "" {
		return full
	}
	return short
}

// scenes is a folder with a picture of each drawn scene, so that the label changes
// with every picture.
func scenes(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 31 { // a prime, so that a slow machine that skips pictures does not see the same ones
		source, err := schemes.List().Open(fmt.Sprintf("test:?fps=0&size=256x256&seed=%d", i), camera.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var f camera.Frame
		if err := source.Next(context.Background(), &f); err != nil {
			t.Fatal(err)
		}
		source.Close()
		if f.Format != camera.RGB24 {
			t.Fatalf("drawn frames are %v", f.Format)
		}
		picture := image.NewNRGBA(image.Rect(0, 0, f.Width, f.Height))
		for p := range f.Width * f.Height {
			copy(picture.Pix[4*p:], f.Data[3*p:3*p+3])
			picture.Pix[4*p+3] = 255
		}
		var file bytes.Buffer
		if err := png.Encode(&file, picture); err != nil {
			t.Fatal(err)
		}
		write(t, dir, fmt.Sprintf("%02d.png", i), file.String())
	}
	return dir
}

// outboxHealth is what /healthz says of the outbox and its broker.
type outboxHealth struct {
	Broker struct{ Connected bool }
	Outbox struct {
		Events, Unsynced int
		OnDisk           bool `json:"on_disk"`
	}
}

// poll asks /healthz until ok holds.
func poll(t *testing.T, page string, ok func(outboxHealth) bool) outboxHealth {
	t.Helper()
	var h outboxHealth
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r, err := http.Get("http://" + page + "/healthz")
		if err != nil {
			continue
		}
		err = json.NewDecoder(r.Body).Decode(&h)
		r.Body.Close()
		if err == nil && ok(h) {
			return h
		}
	}
	t.Fatalf("healthz: %+v", h)
	return h
}

// collector runs Debian's subscriber into a file, which never holds it up, and
// returns a function that waits until the file has so many lines that match a
// pattern, and gives all of its lines, "topic payload". One with a session that lasts (-c) is
// run again when it ends: with TLS mosquitto_sub 2.0.11 does ("The connection was lost", exit
// 7) where a broker goes without TLS's own farewell, instead of coming back.
func collector(t *testing.T, address string, arguments ...string) func(n int, pattern string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "lines")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	command := append([]string{"-oL", needs.Program(t, "mosquitto_sub", "mosquitto-clients"),
		"-h", host, "-p", port, "-t", "dynvit/#", "-q", "1", "-F", "%t %p", "-d"}, arguments...)
	lasts := slices.Contains(arguments, "-c")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer file.Close()
		for again := true; again && ctx.Err() == nil; again = lasts {
			c := exec.CommandContext(ctx, "stdbuf", command...)
			c.Stdout, c.Stderr = file, file
			err := c.Run()
			if ctx.Err() == nil {
				fmt.Fprintf(file, "the subscriber ended: %v\n", err)
				time.Sleep(200 * time.Millisecond)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	wait := func(n int, pattern string) []string {
		t.Helper()
		re := regexp.MustCompile("(?m)" + pattern)
		var text []byte
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if text, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
			if len(re.FindAllIndex(text, n)) == n {
				return strings.Split(string(text), "\n")
			}
		}
		t.Fatalf("the subscriber does not see %d of %q among %d bytes, the last of which are\n%s", n, pattern, len(text), text[max(0, len(text)-2000):])
		return nil
	}
	wait(1, "^Subscribed")
	return wait
}

var eventID = regexp.MustCompile(`"id":"([0-9a-f]+)-(\d+)"`)

// checkIDs expects the events of each start of the daemon to count up by one from
// 1, but for repeats, and returns how many different ones there are.
func checkIDs(t *testing.T, lines []string) (events, repeats, starts int) {
	t.Helper()
	last := map[string]int{}
	for _, line := range lines {
		if !strings.Contains(line, "/event ") {
			continue
		}
		id := eventID.FindStringSubmatch(line)
		if id == nil {
			t.Fatalf("no id in %s", line)
		}
		var n int
		fmt.Sscan(id[2], &n)
		switch boot := id[1]; {
		case n <= last[boot]:
			repeats++
		case n != last[boot]+1:
			t.Errorf("event %s-%d came after %d", boot, n, last[boot])
			last[boot] = n
		default:
			last[boot] = n
			events++
		}
	}
	return events, repeats, len(last)
}

// TestFaultDaemonKilled kills the daemon with SIGKILL in the middle of its stream,
// first while the broker is away and then while it takes events: what was on
// disk is published by the next start, and ids count up by one.
func TestFaultDaemonKilled(t *testing.T) {
	t.Parallel() // most of it is starting up
	needs.Program(t, "mosquitto_sub", "mosquitto-clients")
	address, page, state := mqtttest.Reserve(t), mqtttest.Reserve(t), t.TempDir()
	config := write(t, t.TempDir(), "dynvit.yaml", fmt.Sprintf(`
node: box
latency: {keep: 0.3}
mqtt: {broker: "mqtt://%s"}
http: {listen: "%s"}
cameras:
  door: {source: "file:%s?loop=1&fps=25", stable: 1, min_score: 0}
`, address, page, scenes(t)))
	run := func() *process {
		c := dynvitd(t, "run", "--config", config)
		c.Env = append(c.Env, "STATE_DIRECTORY="+state)
		p := start(t, c)
		p.await("msg=ready")
		return p
	}
	chance := rand.New(rand.NewPCG(7, 8))
	kills := often(20, 2)
	safe := 0 // events that were on disk when the daemon was killed
	for range kills {
		d := run()
		want := safe + 1 + chance.IntN(40)
		h := poll(t, page, func(h outboxHealth) bool { return h.Outbox.Events-h.Outbox.Unsynced >= want })
		d.Process.Kill()
		d.end()
		if h.Outbox.Events < safe || !h.Outbox.OnDisk {
			t.Errorf("%+v, want the %d events of before on disk", h, safe)
		}
		safe = h.Outbox.Events - h.Outbox.Unsynced
	}
	segments, err := filepath.Glob(filepath.Join(state, "outbox", "box", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Errorf("segments %v, %v", segments, err)
	}
	mosquitto(t, address)
	seen := collector(t, address)
	arrived := 0
	for range kills {
		d := run()
		arrived += 10
		seen(arrived, `^dynvit/box/camera/door/event `)
		d.Process.Kill()
		d.end()
	}
	d := run()
	seen(arrived+10, `^dynvit/box/camera/door/event `) // may all be of those before it
	poll(t, page, func(h outboxHealth) bool { return h.Broker.Connected && h.Outbox.Events < 5 })
	d.Process.Signal(syscall.SIGTERM)
	if code := d.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, strings.Join(d.seen, "\n"))
	}
	lines := seen(1, `^dynvit/box/status stopped$`)
	events, repeats, starts := checkIDs(t, lines)
	if events < safe {
		t.Errorf("%d events arrived, %d were on disk before the broker came", events, safe)
	}
	t.Logf("daemon killed %d times: %d events of %d starts arrived, %d of them had waited on disk, ids of each start count up by one, %d repeats",
		2*kills, events, starts, safe, repeats)
	if left, err := os.ReadDir(filepath.Join(state, "outbox", "box")); err != nil || len(left) != 0 {
		t.Errorf("left on disk: %v, %v", left, err)
	}
}

// TestFaultBrokerAwayTLS is a user's day: a broker with TLS and a password, away
// for a while; a subscriber that was there before and after sees every event
// once, in order.
func TestFaultBrokerAwayTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openssl := needs.Program(t, "openssl", "openssl")
	if out, err := exec.Command(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
		"-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", dir+"/key.pem", "-out", dir+"/cert.pem").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const password = "correct-horse"
	if out, err := exec.Command(needs.Program(t, "mosquitto_passwd", "mosquitto"), "-b", "-c", dir+"/words", "cam", password).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	address, page := mqtttest.Reserve(t), mqtttest.Reserve(t)
	broker := mqtttest.RunMosquitto(t, mqtttest.Listener(address)+
		fmt.Sprintf("certfile %s/cert.pem\nkeyfile %s/key.pem\npassword_file %s/words\npersistence true\npersistence_location %s/\n", dir, dir, dir, dir))
	config := write(t, dir, "dynvit.yaml", fmt.Sprintf(`
node: box
latency: {keep: 0.3}
mqtt: {broker: "mqtts://%s", username: cam, password_file: %s, ca_file: %s/cert.pem}
http: {listen: "%s"}
cameras:
  door: {source: "file:%s?loop=1&fps=10", stable: 1, min_score: 0}
`, address, write(t, dir, "password", password+"\n"), dir, page, scenes(t)))
	// A session that outlives the broker, so that the subscriber misses nothing.
	seen := collector(t, address, "--cafile", dir+"/cert.pem", "-u", "cam", "-P", password, "-c", "-i", "dashboard")
	d := start(t, dynvitd(t, "run", "--config", config, "--log-level", "debug"))
	seen(1, `^dynvit/box/camera/door/event `)
	broker.Stop()
	away := often(200, 20)
	start := time.Now()
	poll(t, page, func(h outboxHealth) bool { return h.Outbox.Events >= away })
	took := time.Since(start)
	broker.Start(t)
	poll(t, page, func(h outboxHealth) bool { return h.Outbox.Events < 3 })
	d.Process.Signal(syscall.SIGTERM)
	lines := seen(1, `^dynvit/box/status stopped$`)
	if code := d.end(); code != 0 {
		t.Errorf("exit %d", code)
	}
	events, repeats, _ := checkIDs(t, lines)
	if events < away || repeats > 20 {
		t.Errorf("%d events, %d repeats, want %d at least and no more repeats than were in flight", events, repeats, away)
	}
	if all := strings.Join(d.seen, "\n"); strings.Contains(all, password) {
		t.Error("the password is in the log")
	}
	t.Logf("broker with TLS and password away for %.0f s: %d events arrived, ids count up by one, %d repeats", took.Seconds(), events, repeats)
}

// TestFaultFirstStartInLittleMemory: a box that has memory for running has it for
// the calibration of the first start, too.
func TestFaultFirstStartInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it calibrates")
	}
	peak := func(until string, args ...string) int {
		d := start(t, dynvitd(t, append([]string{"run", "--node", "box", "--source", "test:?fps=5", "--broker", "mqtt://127.0.0.1:1"}, args...)...))
		d.await(until)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
		if m == nil {
			t.Fatalf("no VmHWM in %s", status)
		}
		kib, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		d.Process.Signal(syscall.SIGTERM)
		if code := d.end(); code != 0 {
			t.Errorf("exit %d", code)
		}
		return kib / 1024
	}
	running := 0
	for range 5 { // one start in four needs 8 MiB less: as the collector runs while the model is loaded
		running = max(running, peak("cam0  .* ms, tokens", "--keep", "0.7"))
	}
	calibrating := peak(`msg=calibrated|msg="not calibrated`) // on a busy machine its time is up first
	t.Logf("peak of running %d MiB, of a first start %d MiB", running, calibrating)
	if calibrating > running*3/2 {
		t.Errorf("a first start takes %d MiB where running takes %d", calibrating, running)
	}
}
