package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/mqtt/mqtttest"
)

// configured starts run with a configuration file, whose text may be changed.
func configured(t *testing.T, text string, environ ...string) (d *process, change func(string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dynvit.yaml")
	change = func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change(text)
	c := dynvitd(t, "run", "--config", file)
	c.Env = append(append(c.Env, "STATE_DIRECTORY="+t.TempDir()), environ...)
	d = start(t, c)
	d.await("msg=ready")
	return d, change
}

// TestReloadOnHangup: the service manager hears of each reload when it begins and
// when it is over, at a time after the signal; a bad file is named with line and
// column and changes nothing, and flags of the command line hold.
func TestReloadOnHangup(t *testing.T) {
	broker, err := mqtttest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	// hear returns the next notification of those that a reload is made of.
	hear := func() string {
		t.Helper()
		socket.SetReadDeadline(time.Now().Add(patience))
		for buf := make([]byte, 4096); ; {
			n, err := socket.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if m := string(buf[:n]); strings.HasPrefix(m, "RELOADING=1") || strings.HasPrefix(m, "READY=1") {
				return m
			}
		}
	}
	text := "node: box\nlatency: {keep: 0.3}\nmqtt: {broker: \"" + broker.URL() + "\"}\ncameras:\n  door: {source: \"test:?fps=2\"}\n"
	d, change := configured(t, text, "NOTIFY_SOCKET="+socket.LocalAddr().String())
	if m := hear(); !strings.HasPrefix(m, "READY=1\nSTATUS=") {
		t.Fatalf("first %q", m)
	}
	reload := func() (status string) {
		t.Helper()
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			t.Fatal(err)
		}
		d.Process.Signal(syscall.SIGHUP)
		var usec int64
		begin, end := hear(), hear()
		if _, err := fmt.Sscanf(begin, "RELOADING=1\nMONOTONIC_USEC=%d", &usec); err != nil || usec < now.Nano()/1000 {
			t.Errorf("%q does not come after %d µs", begin, now.Nano()/1000)
		}
		status, ok := strings.CutPrefix(end, "READY=1\nSTATUS=")
		if !ok {
			t.Errorf("ends with %q", end)
		}
		return status
	}
	change(text + "  yard: {source: \"test:?fps=2\"}\nlog: {level: debug}\nhttp: {listen: 1}\n")
	if status := reload(); strings.Contains(status, "not reloaded") || !strings.Contains(status, "of 2 cameras") {
		t.Errorf("status %s", status)
	}
	d.await(`configuration reloaded" reload=1 changed="log.level cameras.yard"`)
	d.await(`held from the next start on" reload=1 keys=http.listen`)
	change(text + "  yard: {sauce: \"test:?fps=2\"}\n")
	if status := reload(); !regexp.MustCompile(`of 2 cameras.*configuration not reloaded \(.*dynvit.yaml:6:10: cameras.yard.sauce: unknown key`).MatchString(status) {
		t.Errorf("status %s", status)
	}
	d.await(`level=ERROR msg="configuration not reloaded, all stays as it was" reload=2 err=.*dynvit.yaml:6:10: `)
	change(text)
	if status := reload(); strings.Contains(status, "not reloaded") || !strings.Contains(status, "of 1 cameras") {
		t.Errorf("status %s", status)
	}
	d.Process.Signal(syscall.SIGTERM)
	if code := d.end(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestFaultReloadStorm: SIGHUP again and again while the file changes, and is half
// written now and then; two cameras stay the same and online, one comes and goes.
// Files and threads do not grow. That no frame is lost is TestReloadStorm's, in a
// clock that does not depend on what else the machine does.
func TestFaultReloadStorm(t *testing.T) {
	broker, err := mqtttest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	text := "node: box\nlatency: {keep: 0.3, budget: %dms}\nmqtt: {broker: \"" + broker.URL() + "\", username: u%d}\nhomeassistant: {enabled: %v}\ncameras:\n" +
		"  door: {source: \"test:?fps=5\", publish: {frame: true}, timeout: 1m}\n  yard: {source: \"test:?fps=5\", publish: {frame: true}, timeout: 1m}\n"
	d, change := configured(t, fmt.Sprintf(text, 50, 0, true))
	for range 2 {
		d.await("msg=\"camera online\"")
	}
	go func() {
		for range d.lines { // which nobody else reads from here on
		}
	}()
	opened := func() (files, threads int) {
		for name, n := range map[string]*int{"fd": &files, "task": &threads} {
			list, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", d.Process.Pid, name))
			if err != nil {
				t.Fatal(err)
			}
			*n = len(list)
		}
		return files, threads
	}
	begin := time.Now()
	filesBefore, threadsBefore := opened()
	n := often(200, 30)
	for i := range n {
		to := fmt.Sprintf(text, 20+i%30, i%3, i%10 < 5)
		switch i % 4 {
		case 0, 1:
			to += fmt.Sprintf("  comes: {source: \"test:?fps=20&seed=%d\", stable: %d}\n", i/2, 1+i%3)
		case 3:
			to = to[:len(to)/2]
		}
		change(to)
		d.Process.Signal(syscall.SIGHUP)
		time.Sleep(100 * time.Millisecond)
	}
	took := time.Since(begin)
	change(fmt.Sprintf(text, 50, 0, true))
	d.Process.Signal(syscall.SIGHUP)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := broker.Await(ctx, func(s mqtttest.State) bool {
		_, left := s.Retained["dynvit/box/camera/comes/status"]
		return !left && s.Retained["dynvit/box/status"] == "online" && !strings.Contains(s.Retained["dynvit/box/settings"], "comes")
	})
	if err != nil {
		t.Fatalf("after the storm: status %s, settings %s", s.Retained["dynvit/box/status"], s.Retained["dynvit/box/settings"])
	}
	var files, threads int
	for until := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if files, threads = opened(); files <= filesBefore+1 || time.Now().After(until) {
			break
		}
	}
	if files > filesBefore+1 || threads > threadsBefore+8 {
		t.Errorf("files %d, then %d; threads %d, then %d", filesBefore, files, threadsBefore, threads)
	}
	for _, name := range []string{"door", "yard"} {
		if words := s.Topic("dynvit/box/camera/" + name + "/status"); strings.Join(dedup(words), " ") != "offline online" {
			t.Errorf("%s: %q", name, words)
		}
	}
	t.Logf("%d reloads in %.1f s: files %d before and %d after, threads %d and %d", n, took.Seconds(), filesBefore, files, threadsBefore, threads)
	d.Process.Signal(syscall.SIGTERM)
	if code := d.end(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// dedup leaves out what is said again, as each connection does.
func dedup(words []string) (list []string) {
	for _, w := range words {
		if len(list) == 0 || list[len(list)-1] != w {
			list = append(list, w)
		}
	}
	return list
}
