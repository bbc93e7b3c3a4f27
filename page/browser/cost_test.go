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
	if os.Getenv("DYNVIT_PAGE_COST") == "" {
		t.Skip("DYNVIT_PAGE_COST=1 measures for three minutes, on an idle machine")
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
	watched, phase := false, 0
	times := map[bool][]float64{}
	medians := map[bool][]float64{}
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
	for phase = range 18 {
		mu.Lock()
		watched = phase%2 == 1
		clear(times)
		mu.Unlock()
		stop := func() {}
		if watched {
			stop = view(t, url)
		}
		time.Sleep(10 * time.Second)
		memory[watched] = max(memory[watched], resident(t, daemon.Process.Pid))
		stop()
		mu.Lock()
		slices.Sort(times[watched])
		medians[watched] = append(medians[watched], times[watched][len(times[watched])/2])
		mu.Unlock()
	}
	for _, watched := range []bool{false, true} {
		slices.Sort(medians[watched])
		t.Logf("watched %v: medians of ten seconds %.3f ms, the middle one %.3f ms; %d KiB resident at most", watched, medians[watched], medians[watched][len(medians[watched])/2], memory[watched])
	}
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
		if pictures < 50 {
			t.Errorf("only %d pictures were fetched", pictures)
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
