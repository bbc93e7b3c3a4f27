package systemd

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealthReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Health
		fast, slow := h.Loop("fast", time.Second), h.Loop("slow", time.Minute)
		fast.Busy("work")
		time.Sleep(time.Second)
		slow.Busy("more work")
		if _, stuck := h.Stuck(time.Now()); stuck {
			t.Error("stuck at its very limit")
		}
		time.Sleep(time.Second)
		want := []Report{
			{Name: "fast", Busy: true, What: "work", For: 2 * time.Second, Stuck: true},
			{Name: "slow", Busy: true, What: "more work", For: time.Second},
		}
		if got := h.Report(time.Now()); !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		time.Sleep(time.Hour)
		if worst, stuck := h.Stuck(time.Now()); !stuck || worst.Name != "fast" {
			t.Errorf("worst is %+v, want the one stuck for longest", worst)
		}
		fast.Done()
		if worst, stuck := h.Stuck(time.Now()); !stuck || worst.Name != "slow" {
			t.Errorf("worst is %+v, want the one that is left", worst)
		}
		slow.Done()
		if got := h.Report(time.Now()); len(got) != 0 {
			t.Errorf("%+v are left", got)
		}
	})
}

func TestNewLoopIsIdle(t *testing.T) {
	var h Health
	h.Loop("camera", 0)
	if worst, stuck := h.Stuck(time.Now().Add(time.Hour)); stuck {
		t.Errorf("%+v is stuck before it began", worst)
	}
}

func TestHealthFromManyGoroutines(t *testing.T) {
	var h Health
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			l := h.Loop(fmt.Sprint(i), time.Hour)
			defer l.Done()
			for range 200 {
				l.Busy("work")
				h.Report(time.Now())
				l.Idle("rest")
			}
		})
	}
	wg.Wait()
	if got := h.Report(time.Now()); len(got) != 0 {
		t.Errorf("%+v are left", got)
	}
}

func TestBusyAndIdleDoNotAllocate(t *testing.T) {
	var h Health
	l := h.Loop("inference", time.Second)
	if n := testing.AllocsPerRun(100, func() { l.Busy("inference"); l.Idle("no frame came") }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
