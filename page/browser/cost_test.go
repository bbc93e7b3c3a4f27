package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestCost says what an open page costs the daemon: four cameras at 5 frames a second,
// by turns with and without a viewer, which fetches pictures as the page does. It asserts
// no times; docs/page.md has the figures.
func TestCost(t *testing.T) {
	if os.Getenv("PAGE_COST") == "" {
		t.Skip("PAGE_COST=1 measures for three minutes, on an idle machine")
	}
	path, err := dynvitd()
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(path, "run", "--json", "--http", "127.0.0.1:0", "--keep", "0.7",
		"--source", "test:?fps=5", "--source", "test:?fps=5&seed=1", "--source", "test:?fps=5&seed=2", "--source", "test:?fps=5&seed=3")
	daemon.Env = append(os.Environ(), "STATE_DIRECTORY="+t.TempDir())
	out, _ := daemon.StdoutPipe()
	log, _ := daemon.StderrPipe()
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { daemon.Process.Signal(syscall.SIGTERM); daemon.Wait() }()
	address := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if _, a, is := strings.Cut(lines.Text(), "http server started\" address="); is {
				address <- a
			}
		}
	}()
	var mu sync.Mutex
	watched := false
	times, ticks := map[bool][]float64{}, map[bool]int{}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var frame struct {
				MS float64 `json:"frame_ms"`
			}
			if json.Unmarshal(lines.Bytes(), &frame) == nil {
				mu.Lock()
				times[watched] = append(times[watched], frame.MS)
				mu.Unlock()
			}
		}
	}()
	var url string
	select {
	case a := <-address:
		url = "http://" + a
	case <-time.After(time.Minute):
		t.Fatal("the daemon does not listen")
	}
	memory := map[bool]int{}
	time.Sleep(10 * time.Second)
	t.Logf("before the first viewer %d KiB resident", resident(t, daemon.Process.Pid))
	for phase := range 36 {
		mu.Lock()
		watched = phase%2 == 1
		mu.Unlock()
		stop, before := func() {}, used(t, daemon.Process.Pid)
		if watched {
			stop = view(t, url)
		}
		time.Sleep(5 * time.Second)
		ticks[watched] += used(t, daemon.Process.Pid) - before
		memory[watched] = max(memory[watched], resident(t, daemon.Process.Pid))
		stop()
	}
	mu.Lock()
	defer mu.Unlock()
	for _, watched := range []bool{false, true} {
		list := times[watched]
		slices.Sort(list)
		at := func(share float64) float64 { return list[int(share*float64(len(list)))] }
		t.Logf("watched %v: %d frames; p1 %.3f, p5 %.3f, p10 %.3f, p25 %.3f, p50 %.3f ms; %.3f ms of processor a frame; %d KiB resident at most", watched, len(list),
			at(0.01), at(0.05), at(0.1), at(0.25), at(0.5), 10*float64(ticks[watched])/float64(len(list)), memory[watched])
	}
}

// used is a process's processor time in hundredths of a second.
func used(t *testing.T, pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	var user, system int
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return user + system
}

// view reads the stream and fetches a picture for each frame that it tells of, one a
// camera at a time, until it is stopped.
func view(t *testing.T, url string) (stop func()) {
	answer, err := http.Get(url + "/page/events")
	if err != nil {
		t.Fatal(err)
	}
	pictures := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		busy := map[string]chan struct{}{}
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var frame struct{ Camera string }
			if lines.Text() != "event: frame" || !lines.Scan() || json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &frame) != nil {
				continue
			}
			if busy[frame.Camera] == nil {
				busy[frame.Camera] = make(chan struct{}, 1)
			}
			select {
			case busy[frame.Camera] <- struct{}{}:
				pictures++
				go func() {
					defer func() { <-busy[frame.Camera] }()
					if p, err := http.Get(url + "/page/camera/" + frame.Camera + "/picture"); err == nil {
						io.Copy(io.Discard, p.Body)
						p.Body.Close()
					}
				}()
			default:
			}
		}
	}()
	return func() {
		answer.Body.Close()
		<-done
		if pictures == 0 {
			t.Error("no picture was fetched")
		}
	}
}

// resident is a process's memory in KiB.
func resident(t *testing.T, pid int) (kib int) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	fmt.Sscan(rest, &kib)
	return kib
}
