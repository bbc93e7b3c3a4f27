package orphans

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReap has this process adopt what its children leave behind, as process 1
// does, and wait for children of its own all the while.
func TestReap(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	go Reap(t.Context())
	var left []int
	for range 20 {
		// A grandchild says its number and ends, while the child has ended before.
		cmd := exec.Command("sh", "-c", "setsid sh -c 'echo $$; sleep 0.05' & exit 3")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := Start(cmd); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, pid)
		if err := cmd.Wait(); err == nil || err.Error() != "exit status 3" {
			t.Fatalf("our own child: %v: it was reaped by another", err)
		}
		Waited(cmd)
	}
	for _, pid := range left {
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil || !isZombie(stat, os.Getpid()) && !strings.Contains(string(stat), " "+strconv.Itoa(os.Getpid())+" ") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d is not reaped: %s", pid, stat)
			}
		}
	}
}

func TestIsZombie(t *testing.T) {
	for stat, want := range map[string]bool{
		"7 (sleep) Z 1 7 7": true, "7 (sleep) S 1 7 7": false, "7 (sleep) Z 2 7 7": false,
		"7 (a) Z 1 (b) S 1 7": false, "7 (a) S 1 (b) Z 1 7": true, "": false, "7 (cut": false,
	} {
		if got := isZombie([]byte(stat), 1); got != want {
			t.Errorf("%q: %v", stat, got)
		}
	}
}
