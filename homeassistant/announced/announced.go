// Package announced remembers what a node has told Home Assistant, so that a later
// run of it can take back what is configured no more.
package announced

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dynvit/atomicfile"
	"dynvit/homeassistant"
	"dynvit/mqtt"
)

// Publisher takes messages without waiting; *mqtt.Client is one.
type Publisher interface{ Publish(mqtt.Message) error }

// Discovery announces the devices of a node. One goroutine uses it at a time.
type Discovery struct {
	out  Publisher
	list []homeassistant.Announcement
	gone []string // topics of earlier runs
	kept []string // what file holds
	file string   // where topics are kept; "": nowhere
	log  *slog.Logger
}

// New announces list, none where discovery is off, and takes back what earlier runs
// announced, of which file tells ("": nothing is known or kept).
func New(list []homeassistant.Announcement, file string, out Publisher, log *slog.Logger) *Discovery {
	a := &Discovery{out: out, list: list, file: file, log: log}
	now := a.topics()
	a.kept = a.earlier()
	for _, t := range a.kept {
		if !slices.Contains(now, t) {
			a.gone = append(a.gone, t)
		}
	}
	return a
}

// Begin takes back what is gone and announces what is there. Every connection
// begins with both, as with all that is retained.
func (a *Discovery) Begin() {
	a.keep(append(a.topics(), a.gone...)) // before it is announced: the process may be killed
	for _, topic := range a.gone {
		a.publish(topic, nil)
	}
	a.Announce()
}

// Announce publishes what is there.
func (a *Discovery) Announce() {
	for _, one := range a.list {
		a.publish(one.Topic, one.Payload)
	}
}

// Settled notes that the broker has all of it: what is gone need not be taken back
// again.
func (a *Discovery) Settled() {
	if len(a.gone) > 0 {
		a.keep(a.topics())
	}
}

func (a *Discovery) publish(topic string, payload []byte) {
	if err := a.out.Publish(mqtt.Message{Topic: topic, Payload: payload, QoS: 1, Retain: true}); err != nil {
		a.log.Warn("not announced to Home Assistant", "topic", topic, "err", err)
	}
}

func (a *Discovery) topics() []string {
	var list []string
	for _, one := range a.list {
		list = append(list, one.Topic)
	}
	return list
}

// earlier are the topics that were kept. A damaged file costs what it held.
func (a *Discovery) earlier() []string {
	if a.file == "" {
		return nil
	}
	var list []string
	data, err := os.ReadFile(a.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		a.log.Warn("what was announced to Home Assistant before is not known", "file", a.file, "err", err)
	}
	return slices.DeleteFunc(list, func(topic string) bool { return !strings.HasSuffix(topic, "/config") })
}

// keep writes topics to the file, unless it has them.
func (a *Discovery) keep(topics []string) {
	if a.file == "" || slices.Equal(topics, a.kept) {
		return
	}
	err := os.MkdirAll(filepath.Dir(a.file), 0o755)
	if err == nil {
		err = atomicfile.Write(a.file, func(w io.Writer) error { return json.NewEncoder(w).Encode(topics) })
	}
	if err != nil {
		a.log.Warn("what is announced to Home Assistant is not kept: a later start cannot take it back", "err", err)
		return
	}
	a.kept = topics
}
