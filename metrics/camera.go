package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dynvit/messages"
	"dynvit/timing"
)

var (
	status  = gauge("camera_status", "1 for the word that holds, 0 for the others.", "camera", "status")
	frames  = counter("frames_total", "Frames classified.", "camera")
	damaged = counter("frames_damaged_total", "Of the frames classified, those of which a part is lost.", "camera")
	late    = counter("frames_over_budget_total", "Of the frames classified, those that took longer than the budget.", "camera")
	dropped = counter("frames_dropped_total", "Frames not classified, by reason; failed: they could not be decoded, or the model failed.", "camera", "reason")

	ownRatio     = gauge("camera_keep_ratio", "Share of the patches kept a stage, in force; where cameras have ratios of their own.", "camera")
	modelFailed  = counter("model_failures_total", "Frames that the model could not be run on; where there are several models.", "model")
	modelLatency = describe("model_latency_seconds", "The model alone, of the frames that it has looked at; where there are several models.", []string{"model"})

	latency = describe("latency_seconds", "The model alone, of the frames classified.", []string{"camera"})
	frame   = describe("frame_seconds", "Decoding, preprocessing and model, of the frames classified.", []string{"camera"})
	age     = describe("age_seconds", "From capture to result, of the frames classified.", []string{"camera"})
)

// words of a camera's status.
var words = []string{messages.CameraOnline, messages.CameraOffline, messages.CameraStalled, messages.CameraDisabled}

// reasons are those of stats, by the same names.
func reasons(d messages.Drops) map[string]uint64 {
	return map[string]uint64{
		"busy": d.Busy, "budget": d.Slowed, "max_fps": d.TooFast, "failed": d.Failed, "source": d.Missed, "motion": d.Still,
	}
}

func (c *Camera) collect(out chan<- prometheus.Metric) {
	for _, w := range words {
		out <- status.is(truth(w == c.Status), c.Name, w)
	}
	out <- frames.is(float64(c.Looked), c.Name)
	out <- damaged.is(float64(c.Damaged), c.Name)
	out <- late.is(float64(c.Late), c.Name)
	for reason, n := range reasons(c.Drops) {
		out <- dropped.is(float64(n), c.Name, reason)
	}
	out <- histogram(latency, c.Latency, c.Name)
	out <- histogram(frame, c.Frame, c.Name)
	out <- histogram(age, c.Age, c.Name)
	if c.KeepRatio != nil {
		out <- ownRatio.is(*c.KeepRatio, c.Name)
	}
}

func (m *Model) collect(out chan<- prometheus.Metric) {
	out <- modelFailed.is(float64(m.Failed), m.Name)
	out <- histogram(modelLatency, m.Latency, m.Name)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// bounds of the buckets, closest where frames are on a small board: from the 3 ms of
// the default model to the second of DeiT-B in plain Go.
var bounds = func() (list []time.Duration) {
	for _, ms := range []int{1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000, 10000} {
		list = append(list, time.Duration(ms)*time.Millisecond)
	}
	return list
}()

// histogram is one of ours with Prometheus' buckets.
func histogram(desc *prometheus.Desc, h *timing.Histogram, of string) prometheus.Metric {
	var counts timing.Counts
	counts.AddFrom(h)
	n, sum := counts.All()
	buckets := make(map[float64]uint64, len(bounds))
	for i, below := range counts.UpTo(bounds) {
		buckets[bounds[i].Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(desc, n, sum.Seconds(), buckets, of)
}
