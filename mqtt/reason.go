package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// handshakeError says of paho's error whether the broker refused or the
// network failed.
func handshakeError(err error) error {
	switch {
	case !errors.Is(err, packets.ErrorNetworkError):
		return fmt.Errorf("the broker refused the connection: %w", err)
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[1] // paho's "network Error : <the error>"
	}
	return err
}

// reason puts err into words that are the same each time the same thing
// happens (no ephemeral ports), so that repetitions can be recognised.
func reason(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the broker closed the connection"
	case errors.As(err, &dns):
		return fmt.Sprintf("look up %s: %s", dns.Name, dns.Err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}
