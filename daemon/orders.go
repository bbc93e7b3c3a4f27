package daemon

import (
	"context"
	"errors"
)

// errStopping says that the inference does not take orders any more.
var errStopping = errors.New("the daemon stops")

// order is something to do between two frames, on the goroutine that owns the
// model.
type order struct {
	what string // for the watchdog
	do   func() error
	done chan error // holds one
}

// orders lead to the inference. They are safe for concurrent use.
type orders struct {
	soon   chan order    // ahead of the next frame
	inTurn chan order    // when each camera has had its turn
	ended  chan struct{} // closed when the inference has returned
}

func newOrders() *orders {
	return &orders{soon: make(chan order), inTurn: make(chan order), ended: make(chan struct{})}
}

// do has the inference do something ahead of the next frame and waits for it, or
// until ctx ends: then it may still be done.
func (o *orders) do(ctx context.Context, what string, do func() error) error {
	given := order{what, do, make(chan error, 1)}
	if err := o.give(ctx, o.soon, given); err != nil {
		return err
	}
	select {
	case err := <-given.done:
		return err
	case <-ctx.Done():
		return errStopping
	}
}

// doInTurn has the inference do something when each camera has had its turn, so
// that many orders one after another do not starve them. Once begun it is waited
// for, whatever becomes of ctx: do may write to what the caller owns.
func (o *orders) doInTurn(ctx context.Context, what string, do func() error) error {
	given := order{what, do, make(chan error, 1)}
	if err := o.give(ctx, o.inTurn, given); err != nil {
		return err
	}
	return <-given.done
}

// give hands an order over. The inference takes it only to carry it out at once.
func (o *orders) give(ctx context.Context, to chan<- order, given order) error {
	select {
	case to <- given:
		return nil
	case <-o.ended:
		return errStopping
	case <-ctx.Done():
		return errStopping
	}
}
