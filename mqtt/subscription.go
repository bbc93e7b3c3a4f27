package mqtt

import (
	"fmt"
	"log/slog"
	"time"
)

// subscription is a topic filter and what the broker made of it.
type subscription struct {
	filter   string
	closings int  // in a row, of the connection in which it was asked for
	named    bool // that it is refused was logged
	refusal
}

// subscriptions are those of a client. They belong to its goroutine.
type subscriptions struct {
	list []*subscription
	log  *slog.Logger
}

func newSubscriptions(o *Options, log *slog.Logger) *subscriptions {
	l := &subscriptions{log: log}
	for _, filter := range o.Subscribe {
		l.list = append(l.list, &subscription{filter: filter})
	}
	return l
}

// ask makes the subscriptions on a new connection, all at once, or one by one
// after the broker has closed the connection at them. At the second time that it
// closes at one, that is done without.
func (l *subscriptions) ask(s *session, now time.Time) error {
	for _, batch := range l.batches(now) {
		filters := make([]string, len(batch))
		for i, f := range batch {
			filters[i] = f.filter
		}
		codes, err := s.link.subscribe(filters)
		if err != nil {
			return l.failed(batch, err, now)
		}
		for _, f := range batch {
			f.closings, f.refusal = 0, refusal{}
			if c := code(codes[f.filter]); c >= failure {
				l.name(f, c)
			}
		}
	}
	return nil
}

func (l *subscriptions) batches(now time.Time) (list [][]*subscription) {
	var wanted []*subscription
	oneByOne := false
	for _, f := range l.list {
		if now.Before(f.until) {
			continue
		}
		wanted = append(wanted, f)
		oneByOne = oneByOne || f.closings > 0
	}
	switch {
	case oneByOne:
		for i := range wanted {
			list = append(list, wanted[i:i+1])
		}
	case len(wanted) > 0:
		list = append(list, wanted)
	}
	return list
}

func (l *subscriptions) failed(batch []*subscription, err error, now time.Time) error {
	if !aboutMessage(err) {
		return err
	}
	for _, f := range batch {
		f.closings++
	}
	if f := batch[0]; len(batch) == 1 && f.closings > 1 {
		f.again(now)
		c, _ := codeOf(err)
		l.name(f, c)
		return fmt.Errorf("the broker closes the connection at the subscription to %q", f.filter)
	}
	return err
}

// name logs, once, that commands on f will not come; 3.1.1 tells no reason.
func (l *subscriptions) name(f *subscription, why code) {
	if f.named {
		return
	}
	f.named = true
	log := l.log
	if why > failure {
		log = log.With("reason", why.String())
	}
	// What is published does not depend on it.
	log.Warn("mqtt: the broker refuses a subscription: done without it, commands will not arrive", "topic", f.filter)
}
