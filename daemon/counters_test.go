package daemon

import (
	"math"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/config"
)

// TestReadersDoNotStealFromEachOther: two statistics of the same feeds each see
// all frames of their own periods.
func TestReadersDoNotStealFromEachOther(t *testing.T) {
	c := new(counts)
	look := func(n int) {
		for range n {
			c.looked.Add(1)
			c.latency.Add(time.Millisecond)
		}
	}
	read := func() *reading {
		r := new(reading)
		r.load(c)
		return r
	}
	since := func(now, before *reading) *reading {
		r := new(reading)
		r.addSince(now, before)
		return r
	}
	second := read()
	look(3)
	again := read()
	look(4)
	end := read()
	if a, b, all := since(end, again).looked, since(end, second).looked, since(end, new(reading)).looked; a != 4 || b != 7 || all != 7 {
		t.Errorf("periods of %d, %d and %d frames", a, b, all)
	}
	if s := spread(&since(end, second).latency); s.P50 == nil || math.Abs(*s.P50-1) > 1.0/128 {
		t.Errorf("%+v", s)
	}
	if s := spread(&since(end, end).latency); s.P50 != nil || s.P95 != nil {
		t.Errorf("an empty period has %+v", s)
	}
}

// TestMetricsCountWhatStatsCount: what is scraped are the numbers of stats, frames that take
// longer than the budget of 50 ms are counted, and no scrape takes a frame.
func TestMetricsCountWhatStatsCount(t *testing.T) {
	for takes, late := range map[time.Duration]uint64{40 * time.Millisecond: 0, 60 * time.Millisecond: 9} {
		synctest.Test(t, func(t *testing.T) {
			c := withCamera(testConfig(), "yard", func(cam *config.Camera) { cam.MaxFPS = 1 })
			r := run(t, c, sources{
				"test:":        {newScripted(time.Second, nil, append(shots(1, 8), shot{1, 0}, shot{1, 101 + 90})...)},
				"http://yard/": {newScripted(500*time.Millisecond, nil, shots(2, 10)...)},
			}, func(r *rig, _ *Deps) { r.model.takes = takes })
			for range 120 {
				after(100 * time.Millisecond)
				if r.service != nil {
					r.service.local.Pages.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
				}
			}
			stats, read := r.service.reporting.statistics.take(), r.service.reporting.statistics.Read()
			for _, m := range read.Cameras {
				s := stats.Cameras[m.Name]
				if m.Looked != s.Frames || m.Damaged != s.Damaged || m.Drops != s.Drops || m.Status != s.Status {
					t.Errorf("%s: %+v, and stats have %+v", m.Name, m, s)
				}
			}
			door, yard := read.Cameras[0], read.Cameras[1]
			if door.Looked != 9 || door.Late != late || door.Damaged != 1 || door.Drops.Failed != 1 || door.Drops.Total() != 1 {
				t.Errorf("%v a frame: %+v", takes, door)
			}
			if yard.Drops.TooFast == 0 || yard.Looked+yard.Drops.Total() != 10 || (yard.Late > 0) != (late > 0) {
				t.Errorf("%v a frame: %+v", takes, yard)
			}
			r.halt()
		})
	}
}
