// Package orphans does what falls to process 1, which a daemon alone in its
// container is: it reaps the processes that others left behind and the kernel gave
// it, and leaves the children that the program itself waits for alone.
package orphans

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ours are the children that somebody waits for. The lock is held while one is
// started, too: until its number is here nothing may be reaped.
var ours = struct {
	sync.Mutex
	pids map[int]bool
}{pids: map[int]bool{}}

// Start starts a program that its caller waits for; Waited follows its Wait.
func Start(cmd *exec.Cmd) error {
	ours.Lock()
	defer ours.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	ours.pids[cmd.Process.Pid] = true
	return nil
}

// Waited says that a program that was begun by Start has been waited for.
func Waited(cmd *exec.Cmd) {
	ours.Lock()
	defer ours.Unlock()
	delete(ours.pids, cmd.Process.Pid)
}

// missed is how often Reap looks without having been told: signals are folded.
const missed = 10 * time.Second

// Reap reaps what else ends as a child of this process, until ctx ends. All of
// the program's own children must be started by Start.
func Reap(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	tick := time.NewTicker(missed)
	defer tick.Stop()
	for {
		reap("/proc")
		select {
		case <-ended:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// reap waits for the zombies that are there.
func reap(proc string) {
	ours.Lock()
	defer ours.Unlock()
	stats, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err != nil {
		return // the pattern is right
	}
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || ours.pids[pid] {
			continue
		}
		if stat, err := os.ReadFile(path); err == nil && isZombie(stat, os.Getpid()) {
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // who reaped it otherwise is welcome
		}
	}
}

// isZombie reads /proc/PID/stat: number, (name), state, parent. The name may hold
// anything, brackets too.
func isZombie(stat []byte, parent int) bool {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(fields) > 1 && string(fields[0]) == "Z" && string(fields[1]) == strconv.Itoa(parent)
}
