package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"dynvit/calibrate"
	"dynvit/mqtt"
	"dynvit/vit"
)

// maxCommand bounds a command's payload in bytes; the longest needs 60.
const maxCommand = 1024

// outcome is the payload of a command's result.
type outcome struct {
	ID    *string `json:"id"` // as the command gave it
	OK    bool    `json:"ok"`
	Error *string `json:"error"`
	Value any     `json:"value"` // what holds now; null after an error
}

// obey carries out a command and publishes its result. name is the topic below
// cmd/. It waits for the frame in hand, or longer for a calibration.
func (d *Daemon) obey(ctx context.Context, name string, payload []byte, retained bool) {
	if retained {
		d.log.Warn("retained command ignored: publish commands without retain", "command", printable(name))
		return
	}
	if strings.HasSuffix(name, "/result") {
		return // our own answer
	}
	do := d.commandOf(name)
	if do == nil {
		d.log.Warn("unknown command ignored", "command", printable(name))
		return
	}
	id, value, err := parseCommand(payload)
	out := outcome{ID: id}
	if err == nil && !d.config.MQTT.Commands {
		err = errors.New("commands are off: mqtt.commands is false")
	}
	if err == nil {
		out.Value, err = do(ctx, value)
	}
	if out.OK = err == nil; err != nil {
		text := strings.ReplaceAll(err.Error(), "\n", "; ")
		out.Error, out.Value = &text, nil
		d.log.Warn("command refused", "command", name, "why", text)
	}
	d.publish(mqtt.Message{Topic: d.topics.root + "/cmd/" + name + "/result", Payload: encode(out), QoS: 1})
}

// printable is a foreign word that is fit for a log.
func printable(s string) string { return fmt.Sprintf("%.60q", s) }

func (d *Daemon) commandOf(name string) func(context.Context, json.RawMessage) (any, error) {
	switch name {
	case "keep":
		return d.commandKeep
	case "budget":
		return d.commandBudget
	case "recalibrate":
		return d.commandRecalibrate
	case "snapshot":
		return d.commandSnapshot
	}
	if rest, ok := strings.CutPrefix(name, "camera/"); ok {
		if cam, ok := strings.CutSuffix(rest, "/enabled"); ok && cameraName.MatchString(cam) {
			return d.commandEnabled(cam)
		}
	}
	return nil
}

// parseCommand takes {"id":"x","value":…} or a bare value apart; a word without
// quotes is a string.
func parseCommand(payload []byte) (id *string, value json.RawMessage, err error) {
	if len(payload) > maxCommand {
		return nil, nil, fmt.Errorf("payload of %d bytes: at most %d", len(payload), maxCommand)
	}
	payload = bytes.TrimSpace(payload)
	switch {
	case len(payload) == 0:
		return nil, nil, errors.New("empty payload: want a value")
	case payload[0] != '{' && json.Valid(payload):
		return nil, oneLine(payload), nil
	case payload[0] != '{':
		return nil, encode(string(payload)), nil
	}
	var full struct {
		ID    *string         `json:"id"`
		Value json.RawMessage `json:"value"`
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&full); err != nil || decoder.More() {
		return nil, nil, errors.New(`payload is not {"id":"x","value":…}`)
	}
	if full.Value == nil {
		return full.ID, nil, errors.New(`payload has no "value"`)
	}
	return full.ID, oneLine(full.Value), nil
}

// oneLine is a valid value without white space, as errors repeat it.
func oneLine(value json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	json.Compact(&b, value) // it is valid
	return b.Bytes()
}

// order has the inference do something between two frames and waits for it.
func (d *Daemon) order(ctx context.Context, do func(context.Context) error) error {
	o := order{do: do, done: make(chan error, 1)}
	select {
	case d.inference.orders <- o:
	case <-ctx.Done():
		return errors.New("the daemon stops")
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return errors.New("the daemon stops")
	}
}

// commandKeep fixes the keep ratio, or lets it follow the budget again.
func (d *Daemon) commandKeep(ctx context.Context, value json.RawMessage) (any, error) {
	var ratio float64
	if string(value) == `"auto"` {
		err := d.order(ctx, d.inference.follow)
		return "auto", err
	}
	if err := json.Unmarshal(value, &ratio); err != nil || !(ratio > 0 && ratio <= 1) {
		return nil, fmt.Errorf("keep %s: want a ratio above 0, at most 1, or auto", value)
	}
	err := d.order(ctx, func(context.Context) error {
		plan, err := d.model.Plan(vit.Keep{Ratio: ratio})
		if err == nil {
			d.tuner.fix(plan, ratio)
		}
		return err
	})
	return ratio, err
}

// follow lets the budget decide again, by the latest calibration.
func (w *inference) follow(ctx context.Context) error {
	if w.calibrator == nil {
		return errors.New("keep auto: there is no calibration to follow")
	}
	table, err := calibrate.ReadFile(w.calibrator.path)
	if err == nil {
		err = table.Matches(Origin(w.model.info, w.calibrator.version, w.calibrator.root))
	}
	if err == nil {
		err = w.tuner.follow(groupPoints(table.Points, groupOf(w.model.info)), w.tuner.shown().budget)
	}
	if err != nil {
		w.tuner.show(func(f *inForce) { f.auto = true })
		return w.recalibrate(ctx)
	}
	return nil
}

// commandBudget changes the budget, in milliseconds or as a duration such as
// "25ms".
func (d *Daemon) commandBudget(ctx context.Context, value json.RawMessage) (any, error) {
	budget, err := parseBudget(value)
	if err != nil {
		return nil, err
	}
	err = d.order(ctx, func(context.Context) error { return d.tuner.setBudget(budget) })
	return milliseconds(budget), err
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
	if budget < time.Millisecond || budget > time.Minute {
		return 0, fmt.Errorf("budget %s: want 1 to 60000 milliseconds, or a duration such as \"25ms\"", value)
	}
	return budget, nil
}

// commandRecalibrate measures anew, beside the running cameras.
func (d *Daemon) commandRecalibrate(ctx context.Context, value json.RawMessage) (any, error) {
	if string(value) != "true" {
		return nil, fmt.Errorf("recalibrate %s: want true", value)
	}
	return true, d.order(ctx, d.inference.recalibrate)
}
