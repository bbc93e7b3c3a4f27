package daemon

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/messages"
)

// TestStatusIsKept: what another writes to the node's status is overwritten within
// seconds and at a bounded rate; what was retained, or is true, is not answered;
// and where it repeats the log says what may be the cause.
func TestStatusIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, testConfig(), sources{"test:": {newScripted(time.Second, nil, shots(1, 10000)...)}}, nil)
		after(10 * time.Second)
		said := func() int { return len(r.broker.State().Topic(root + "/status")) }
		write := func(word string, retained bool) {
			t.Helper()
			if err := r.broker.Send(root+"/status", word, retained); err != nil {
				t.Fatal(err)
			}
		}
		write(messages.NodeOnline, false)
		write(messages.NodeOffline, true)
		after(time.Minute)
		if n := said(); n != 1 {
			t.Fatalf("status was published %d times, want once", n)
		}
		for i, word := range []string{messages.NodeOffline, messages.NodeStopped, "nonsense"} {
			write(word, false)
			write(word, false) // at once: a quarrel is not seen yet
			after(2 * time.Second)
			if n := said(); n != i+2 {
				t.Errorf("%s: status was published %d times, want %d", word, n, i+2)
			}
			if strings.Contains(r.log.String(), "again and again") {
				t.Errorf("%s: called a quarrel: %s", word, r.log)
			}
			after(time.Hour)
		}
		before := said()
		for range 3000 { // five minutes of another that does the same, and knows no pause
			write(messages.NodeOffline, false)
			after(100 * time.Millisecond)
		}
		if n := said() - before; n < 20 || n > 80 {
			t.Errorf("status was published %d times in five minutes of quarrel", n)
		}
		if !strings.Contains(r.log.String(), "does a second program run as this node?") {
			t.Errorf("log: %s", r.log)
		}
		r.halt()
		if list := r.broker.State().Topic(root + "/status"); list[len(list)-1] != messages.NodeStopped {
			t.Errorf("the last status is %s", list[len(list)-1])
		}
	})
}

// TestStatusIsKeptDuringCommands: a command that takes long keeps nobody from it.
func TestStatusIsKeptDuringCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		r := run(t, testConfig(), sources{"test:": {newScripted(time.Second, nil, shots(1, 10000)...)}}, func(r *rig, _ *Deps) { r.model.hang = hang })
		after(10 * time.Second)
		if err := r.broker.Send(root+"/cmd/keep", "0.5", false); err != nil { // waits for the frame that hangs
			t.Fatal(err)
		}
		after(time.Second)
		if err := r.broker.Send(root+"/status", messages.NodeOffline, false); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		if n := len(r.broker.State().Topic(root + "/status")); n != 2 {
			t.Errorf("status was published %d times, want twice", n)
		}
		close(hang)
		r.halt()
	})
}
