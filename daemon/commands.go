package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"dynvit/calibrate"
	"dynvit/capture"
	"dynvit/config"
	"dynvit/messages"
	"dynvit/timing"
	"dynvit/vit"
)

// commands carries out what comes in over MQTT, one after another, and over HTTP.
type commands struct {
	allowed     atomic.Bool // by configuration
	keeps       bool        // there is a folder for captured pictures
	tuners      *tuners
	orders      *orders
	calibration *calibration
	roster      *roster
	out         *announcer
	log         *slog.Logger
}

// obey carries out a command and publishes its result. name is the topic below
// cmd/. It waits for the frame in hand, or longer for a calibration.
func (c *commands) obey(ctx context.Context, name string, payload []byte, retained bool) {
	if retained {
		c.log.Warn("retained command ignored: publish commands without retain", "command", printable(name))
		return
	}
	if strings.HasSuffix(name, "/result") {
		return // our own answer
	}
	do := c.named(name)
	if do == nil {
		c.log.Warn("unknown command ignored", "command", printable(name))
		return
	}
	if !c.allowed.Load() {
		do = func(context.Context, json.RawMessage) (any, error) {
			return nil, errors.New("commands are off: mqtt.commands is false")
		}
	}
	c.out.answer(name, c.carryOut(ctx, name, payload, do))
}

// carryOut does a command and says what came of it.
func (c *commands) carryOut(ctx context.Context, name string, payload []byte, do func(context.Context, json.RawMessage) (any, error)) messages.Outcome {
	id, value, err := messages.ParseCommand(payload)
	out := messages.Outcome{ID: id}
	if err == nil {
		out.Value, err = do(ctx, value)
	}
	if out.OK = err == nil; err != nil {
		text := strings.ReplaceAll(err.Error(), "\n", "; ")
		out.Error, out.Value = &text, nil
		c.log.Warn("command refused", "command", name, "why", text)
	}
	return out
}

// printable is a foreign word that is fit for a log.
func printable(s string) string { return fmt.Sprintf("%.60q", s) }

func (c *commands) named(name string) func(context.Context, json.RawMessage) (any, error) {
	switch name {
	case "keep":
		return c.keep
	case "budget":
		return c.budget
	case "recalibrate":
		return c.recalibrate
	case "snapshot":
		return c.snapshot
	}
	if rest, ok := strings.CutPrefix(name, "camera/"); ok {
		if cam, ok := strings.CutSuffix(rest, "/enabled"); ok && config.IsCameraName(cam) {
			return c.enabled(cam)
		}
		if cam, ok := strings.CutSuffix(rest, "/capture"); ok && config.IsCameraName(cam) {
			return c.capture(cam)
		}
	}
	return nil
}

// keep fixes the keep ratio, also as it is, or lets it follow the budget again.
func (c *commands) keep(ctx context.Context, value json.RawMessage) (any, error) {
	var ratio float64
	if string(value) == `"auto"` {
		return "auto", c.calibration.follow(ctx)
	}
	if string(value) == `"hold"` {
		return c.hold(ctx)
	}
	if err := json.Unmarshal(value, &ratio); err != nil || !(ratio > 0 && ratio <= 1) {
		return nil, fmt.Errorf("keep %s: want a ratio above 0, at most 1, auto or hold", value)
	}
	err := c.orders.do(ctx, "keep", func() error { return c.tuners.fix(vit.Keep{Ratio: ratio}) })
	return ratio, err
}

// hold fixes the keep ratio that is in force.
func (c *commands) hold(ctx context.Context) (ratio any, err error) {
	err = c.orders.do(ctx, "keep", func() error {
		ratio = c.tuners.shown().ratio
		c.tuners.fixAsFound()
		return nil
	})
	return ratio, err
}

// budget changes the budget, in milliseconds or as a duration such as
// "25ms".
func (c *commands) budget(ctx context.Context, value json.RawMessage) (any, error) {
	budget, err := parseBudget(value)
	if err != nil {
		return nil, err
	}
	err = c.orders.do(ctx, "budget", func() error { return c.tuners.setBudget(budget) })
	return timing.Rounded(budget), err
}

func parseBudget(value json.RawMessage) (time.Duration, error) {
	var ms float64
	var text string
	var budget time.Duration
	switch {
	case json.Unmarshal(value, &ms) == nil:
		budget = time.Duration(min(ms, 1e9) * float64(time.Millisecond))
	case json.Unmarshal(value, &text) == nil:
		budget, _ = time.ParseDuration(text)
	}
	if least, most := calibrate.LeastBudget, calibrate.MostBudget; budget < least || budget > most {
		return 0, fmt.Errorf("budget %s: want %d to %d milliseconds, or a duration such as \"25ms\"", value, least.Milliseconds(), most.Milliseconds())
	}
	return budget, nil
}

// recalibrate measures anew, beside the running cameras.
func (c *commands) recalibrate(ctx context.Context, value json.RawMessage) (any, error) {
	if string(value) != "true" {
		return nil, fmt.Errorf("recalibrate %s: want true", value)
	}
	return true, c.calibration.measure(ctx, c.calibration.models.Load().Passes)
}

// snapshot publishes the next frame of a camera.
func (c *commands) snapshot(ctx context.Context, value json.RawMessage) (any, error) {
	var name string
	if err := json.Unmarshal(value, &name); err != nil {
		return nil, fmt.Errorf("snapshot %s: want the name of a camera", value)
	}
	f := c.roster.all().named(name)
	if f == nil {
		return nil, fmt.Errorf("snapshot %s: there is no such camera", value)
	}
	if now := f.status.get(); now.Word != messages.CameraOnline {
		return nil, fmt.Errorf("camera %s is %s", name, join(now.Word, now.Reason))
	}
	wait := min(f.config.Load().Timeout, snapshotWait)
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	r := &request{ctx: waiting, done: make(chan error, 1)}
	err := c.orders.do(ctx, "snapshot", func() error {
		f.request = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	select {
	case err := <-r.done:
		return name, err
	case <-ctx.Done():
		return nil, errStopping
	case <-waiting.Done():
		return nil, fmt.Errorf("camera %s: no frame in %v", name, wait)
	}
}

// enabled switches a camera on or off.
func (c *commands) enabled(name string) func(context.Context, json.RawMessage) (any, error) {
	return func(_ context.Context, value json.RawMessage) (any, error) {
		f := c.roster.all().named(name)
		if f == nil {
			return nil, fmt.Errorf("camera %q: there is no such camera", name)
		}
		var on bool
		if string(value) != "null" && json.Unmarshal(value, &on) == nil {
			if f.enabled.Set(on, "by command") {
				c.out.changed()
			}
			return on, nil
		}
		return nil, fmt.Errorf("enabled %s: want true or false", value)
	}
}

// capture begins to keep a camera's frames as examples of a class, in place of what was
// being kept of it; false ends that.
func (c *commands) capture(name string) func(context.Context, json.RawMessage) (any, error) {
	return func(ctx context.Context, value json.RawMessage) (any, error) {
		f := c.roster.all().named(name)
		switch {
		case f == nil:
			return nil, fmt.Errorf("camera %q: there is no such camera", name)
		case !c.keeps:
			return nil, errors.New("capture: there is no folder to keep pictures in: set STATE_DIRECTORY or HOME")
		case string(value) == "false":
			return false, c.take(ctx, f, nil)
		}
		o, err := capture.ParseOrder(value)
		if err != nil {
			return nil, err
		}
		return o, c.take(ctx, f, &capture.Taking{Order: o})
	}
}

func (c *commands) take(ctx context.Context, f *feed, t *capture.Taking) error {
	return c.orders.do(ctx, "capture", func() error {
		f.taking = t
		return nil
	})
}
