package mqtt

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// rivalTimes is how often in a row a connection must have been taken away before
// somebody is suspected.
const rivalTimes = 3

// rival finds out that another client has the same id. The protocol does not
// tell: the broker accepts a connection, acknowledges what comes, and closes it
// as soon as the other one is back [MQTT-3.1.4-2].
type rival struct {
	id    string
	times int // in a row
}

// lost reports how a connection ended that lasted so long. sound says that the
// broker acknowledged something on it. It returns err, or in its place what is
// probably behind it.
func (r *rival) lost(err error, lasted time.Duration, sound bool) error {
	if !sound || lasted >= steady || !closedByPeer(err) {
		r.times = 0
		return err
	}
	if r.times++; r.times < rivalTimes {
		return err
	}
	return fmt.Errorf("the broker closes the connection again and again after accepting it: probably another client has the client id %q", r.id)
}

// refused reports that no connection came about: no other client does that.
func (r *rival) refused() { r.times = 0 }

func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
