package lineup

import (
	"fmt"
	"strings"
	"sync/atomic"

	"dynvit/engine"
	"dynvit/head"
	"dynvit/messages"
	"dynvit/timing"
)

// Model is what a configuration names.
type Model struct {
	Name string // as topics and results show it
	Pass *Pass  // that it needs

	sha256 string     // of its file
	taught bool       // its head may be another, by the same name
	head   *head.Head // by which it answers from the pass's features; nil: the pass's answer is its own
	result engine.Result

	Counts Counts
}

// Counts are of a model's frames. They only grow, and may be read by any goroutine.
type Counts struct {
	Looked, Failed atomic.Uint64
	Latency        timing.Histogram // of those looked at
}

// Answer is what the model says of the frame that its pass has looked at, valid until
// the next.
func (m *Model) Answer() (*engine.Result, error) {
	switch {
	case m.Pass.Err != nil:
		return nil, m.Pass.Err
	case m.head == nil:
		return &m.Pass.Result, nil
	}
	return &m.result, m.result.Answer(m.head, m.Pass.Result.Features)
}

// Looks is what of the model is told with every frame.
func (m *Model) Looks() messages.Engine {
	looks := m.Pass.Looks
	looks.Model = m.Name
	return looks
}

// Label is the name of a class.
func (m *Model) Label(class int) string {
	if m.head != nil {
		return m.head.Labels[class]
	}
	return m.Pass.Label(class)
}

// Classes is how many there are.
func (m *Model) Classes() int {
	if m.head != nil {
		return len(m.head.Labels)
	}
	return m.Pass.Opened.Classes
}

// SHA256 is of its file.
func (m *Model) SHA256() string { return m.sha256 }

// Labels are those that may hold: what a camera is limited to, as far as the model
// has it, else all.
func (m *Model) Labels(limited []string) []string {
	var list []string
	for _, label := range limited {
		if m.has(label) {
			list = append(list, label)
		}
	}
	if len(limited) > 0 {
		return list
	}
	for class := range m.Classes() {
		list = append(list, m.Label(class))
	}
	return list
}

func (m *Model) has(label string) bool {
	for class := range m.Classes() {
		if m.Label(class) == label {
			return true
		}
	}
	return false
}

// wanted marks the classes that labels name, nil for all. Some label sets name two
// classes alike.
func (m *Model) wanted(labels []string) []bool {
	if len(labels) == 0 {
		return nil
	}
	marks := make([]bool, m.Classes())
	for class := range marks {
		for _, label := range labels {
			marks[class] = marks[class] || m.Label(class) == label
		}
	}
	return marks
}

// checkLabels finds a label that none of the models has, and a model that has none
// of the labels. A label that is never seen is an error: a camera that can never see
// what it is there for would otherwise look healthy.
func checkLabels(labels []string, models ...*Model) error {
	for _, label := range labels {
		if !anyHas(models, label) {
			return fmt.Errorf("%q: model %s has no such label, `dynvitd model info` lists them", label, join(models, " or "))
		}
	}
	for _, m := range models {
		if len(labels) > 0 && len(m.Labels(labels)) == 0 {
			return fmt.Errorf("model %s has none of these labels, `dynvitd model info` lists its own", m.Name)
		}
	}
	return nil
}

func anyHas(models []*Model, label string) bool {
	for _, m := range models {
		if m.has(label) {
			return true
		}
	}
	return false
}

// join lists models in words.
func join(models []*Model, between string) string {
	words := make([]string, len(models))
	for i, m := range models {
		words[i] = m.Name
	}
	return strings.Join(words, between)
}
