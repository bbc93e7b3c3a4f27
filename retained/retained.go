// Package retained remembers what a node has standing at its broker, so that
// another configuration, or a later run of it, can take back what belongs to nobody
// any more: a camera that is gone, a node or a prefix that has another name.
package retained

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"dynvit/atomicfile"
	"dynvit/homeassistant"
	"dynvit/mqtt"
)

// Publisher takes messages without waiting; *mqtt.Client is one.
type Publisher interface{ Publish(mqtt.Message) error }

// Owner is who has something standing.
type Owner struct {
	Folder        string // where it is remembered; "": nowhere
	Node          string // names the file in it
	Configuration string // the node's file: nodes of one are one, under earlier names; "": there is none
}

// Retained is what stands, or may stand from earlier. It is safe for concurrent use.
type Retained struct {
	owner Owner
	out   Publisher
	log   *slog.Logger

	mu      sync.Mutex
	list    []homeassistant.Announcement // as published last
	topics  []string                     // that are to stand
	known   []string                     // that may stand
	cleared map[string]bool              // of known, taken back by this run
	later   []string                     // to be cleared
	kept    record                       // what the file holds
	files   []string                     // of the node's earlier names
}

// record is a file's content.
type record struct {
	Configuration string   `json:"configuration"`
	Topics        []string `json:"topics"`
}

// New reads what earlier runs left.
func New(o Owner, out Publisher, log *slog.Logger) *Retained {
	r := &Retained{owner: o, out: out, log: log, cleared: map[string]bool{}}
	if o.Folder == "" {
		return r
	}
	r.kept = r.read(r.file())
	r.known = slices.Clone(r.kept.Topics)
	for file, earlier := range r.earlier() {
		r.files = append(r.files, file)
		r.known = append(r.known, earlier.Topics...)
	}
	return r
}

// EarlierNames are those that a node has had, by its configuration, and that are not forgotten yet.
func EarlierNames(o Owner) (names []string) {
	r := &Retained{owner: o, log: slog.New(slog.DiscardHandler)} // New has said what is damaged, or will
	for file := range r.earlier() {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	return names
}

// earlier are the files of the node's earlier names.
func (r *Retained) earlier() iter.Seq2[string, record] {
	return func(yield func(string, record) bool) {
		if r.owner.Folder == "" || r.owner.Configuration == "" {
			return
		}
		list, _ := filepath.Glob(filepath.Join(r.owner.Folder, "*.json")) // fails at bad patterns alone
		for _, file := range list {
			if file == r.file() {
				continue
			}
			if rec := r.read(file); rec.Configuration == r.owner.Configuration && !yield(file, rec) {
				return
			}
		}
	}
}

func (r *Retained) file() string { return filepath.Join(r.owner.Folder, r.owner.Node+".json") }

// Stand has other announcements and topics stand from now on: it takes back the
// announcements that are gone, and publishes those that are new or changed. It
// reports whether topics are left for Clear, which is to be called when Home
// Assistant has had time to forget who reads them.
func (r *Retained) Stand(list []homeassistant.Announcement, topics []string) (left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.list
	r.list, r.topics = list, topicsOf(list, topics)
	for _, t := range r.topics {
		delete(r.cleared, t)
		if !slices.Contains(r.known, t) {
			r.known = append(r.known, t)
		}
	}
	r.keep(r.known) // before it is published: the process may be killed
	r.later = nil
	for _, t := range r.known {
		switch {
		case slices.Contains(r.topics, t) || r.cleared[t]:
		case isAnnouncement(t):
			r.takeBack(t)
		default:
			r.later = append(r.later, t)
		}
	}
	for _, one := range list {
		if !slices.ContainsFunc(before, func(b homeassistant.Announcement) bool {
			return b.Topic == one.Topic && string(b.Payload) == string(one.Payload)
		}) {
			r.publish(one.Topic, one.Payload)
		}
	}
	return len(r.later) > 0
}

// Known are the topics that may stand, also of what is configured no more.
func (r *Retained) Known() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.known)
}

// Clear takes back the topics that Stand left.
func (r *Retained) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.later {
		r.takeBack(t)
	}
	if len(r.later) > 0 {
		r.log.Info("retained topics taken back that are of no camera and node any more", "topics", strings.Join(r.later, " "))
	}
	r.later = nil
}

// Announce publishes what Home Assistant is told.
func (r *Retained) Announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.list {
		r.publish(one.Topic, one.Payload)
	}
}

// Settled notes that the broker has all of it: what is gone need not be taken back
// again.
func (r *Retained) Settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(append(slices.Clone(r.topics), r.later...))
	if len(r.later) > 0 {
		return
	}
	for _, file := range r.files {
		if err := os.Remove(file); err != nil {
			r.log.Warn("what an earlier name of the node left is not forgotten", "file", file, "err", err)
		}
	}
}

func (r *Retained) takeBack(topic string) {
	r.publish(topic, nil)
	r.cleared[topic] = true
}

func (r *Retained) publish(topic string, payload []byte) {
	if err := r.out.Publish(mqtt.Message{Topic: topic, Payload: payload, QoS: 1, Retain: true}); err != nil {
		r.log.Warn("not published", "topic", topic, "err", err)
	}
}

// isAnnouncement reports whether a topic is for Home Assistant.
func isAnnouncement(topic string) bool { return strings.HasSuffix(topic, "/config") }

func topicsOf(list []homeassistant.Announcement, topics []string) []string {
	var all []string
	for _, one := range list {
		all = append(all, one.Topic)
	}
	return append(all, topics...)
}

// read is what a file holds; a list alone is of versions that knew announcements
// only. A damaged file costs what it held.
func (r *Retained) read(file string) (rec record) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}
	}
	alone := err == nil && json.Unmarshal(data, &rec.Topics) == nil
	if err == nil && !alone {
		rec = record{}
		err = json.Unmarshal(data, &rec)
	}
	if err != nil {
		r.log.Warn("what was announced and retained before is not known", "file", file, "err", err)
	}
	all := len(rec.Topics)
	rec.Topics = slices.DeleteFunc(rec.Topics, func(topic string) bool {
		return topic == "" || strings.ContainsAny(topic, "+#\x00") || alone && !isAnnouncement(topic)
	})
	if foreign := all - len(rec.Topics); foreign > 0 {
		r.log.Warn("the file of what was announced and retained names topics that cannot have been", "file", file, "topics", foreign)
	}
	return rec
}

// keep writes topics to the file, unless it has them.
func (r *Retained) keep(topics []string) {
	next := record{r.owner.Configuration, slices.Clone(topics)}
	if r.owner.Folder == "" || next.Configuration == r.kept.Configuration && slices.Equal(topics, r.kept.Topics) {
		return
	}
	err := os.MkdirAll(r.owner.Folder, 0o755)
	if err == nil {
		err = atomicfile.Write(r.file(), func(w io.Writer) error { return json.NewEncoder(w).Encode(next) })
	}
	if err != nil {
		r.log.Warn("what is announced and retained is not kept: a later start cannot take it back", "err", err)
		return
	}
	r.kept = next
}
