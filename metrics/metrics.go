// Package metrics shows what the daemon counts as Prometheus reads it: a page of
// text, made anew for each reader. It keeps nothing and counts nothing itself.
//
// Names follow Prometheus' conventions: seconds, bytes and shares of 1, _total
// where a value only grows. Labels have values of the configuration or of a list
// that is fixed: cameras, reasons, words of a status. dashboard.json and
// alerts.yaml, for Grafana and Prometheus, read these names, and tests hold them to
// that.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/timing"
)

// Source is what is shown; the daemon is one. Read is called once a page, from
// several goroutines.
type Source interface{ Read() Readings }

// Readings are what holds at one time. Counts are since the start of the daemon.
type Readings struct {
	Engines     []messages.Engine // look at the frames now, one a model; another may stand in for a lost device
	Models      []Model           // what they have done; told where there are several
	Cameras     []Camera
	KeepRatio   float64 // in force
	Rate        float64 // share of the frames that the budget lets look at
	Budget      time.Duration
	Percentile  float64 // share of the frames, in percent, that are to hold the budget
	Outbox      mqtt.Status
	OutboxLimit int      // bytes of topics and payloads that may wait
	Temperature *float64 // in °C; nil: not known
	RSS         uint64   // resident memory in bytes
	Started     time.Time
}

// Camera is one of the configuration's.
type Camera struct {
	Name    string
	Status  string // one of messages' words
	Looked  uint64 // frames classified
	Damaged uint64 // those of them that lack a part
	Late    uint64 // those of them that took longer than the budget
	Drops   messages.Drops

	KeepRatio *float64 // in force, where cameras have ratios of their own; else nil

	Latency, Frame, Age *timing.Histogram
}

// Model is one of those that look at frames.
type Model struct {
	Name    string
	Failed  uint64            // frames that it could not be run on
	Latency *timing.Histogram // of the others
}

// mostReaders may have pages made for them at once; one too many gets 503.
const mostReaders = 8

// Page answers with the metrics of a program of that version. Pages are not compressed: that would cost more
// processor than all the rest, for some kilobytes on a local network.
func Page(version string, source Source, log *slog.Logger) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{version, source}, collectors.NewGoCollector())
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: mostReaders,
		DisableCompression:  true,
	})
}

// kind is a metric without its value.
type kind struct {
	desc  *prometheus.Desc
	value prometheus.ValueType
}

func counter(name, help string, labels ...string) kind {
	return kind{describe(name, help, labels), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) kind {
	return kind{describe(name, help, labels), prometheus.GaugeValue}
}

func describe(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("dynvit_"+name, help, labels, nil)
}

// is the metric with its value.
func (k kind) is(value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(k.desc, k.value, value, labels...)
}

var (
	build = gauge("build_info", "Always 1: what was built.", "version", "goversion", "goarch")
	model = gauge("model_info", "Always 1: what looks at the frames.", "model", "backend", "precision")

	keepRatio  = gauge("keep_ratio", "Share of the patches kept a stage, in force.")
	rate       = gauge("rate_ratio", "Share of the frames that the budget lets look at; below 1 even the least keep ratio misses it.")
	budget     = gauge("budget_seconds", "Time that a whole frame may take.")
	percentile = gauge("budget_target_ratio", "Share of the frames that are to hold the budget.")

	temperature = gauge("temperature_celsius", "Of the hottest thermal zone; missing where there is none.")
)

// collector reads the source for each page.
type collector struct {
	version string
	source  Source
}

// Describe implements prometheus.Collector. It promises nothing: what there is may
// change while the program runs.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	r := c.source.Read()
	out <- build.is(1, c.version, runtime.Version(), runtime.GOARCH)
	for _, e := range r.Engines {
		out <- model.is(1, e.Model, e.Backend, e.Precision)
	}
	out <- keepRatio.is(r.KeepRatio)
	out <- rate.is(r.Rate)
	out <- budget.is(r.Budget.Seconds())
	out <- percentile.is(r.Percentile / 100)
	if r.Temperature != nil {
		out <- temperature.is(*r.Temperature)
	}
	collectProcess(out, &r)
	collectOutbox(out, &r)
	for i := range r.Cameras {
		r.Cameras[i].collect(out)
	}
	for i := range r.Models {
		if len(r.Models) > 1 {
			r.Models[i].collect(out)
		}
	}
}
