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

// The broker closed a connection before it answered.
var (
	errWantsTLS = errors.New("the broker closed the connection at once: does this port want TLS (mqtts://)?")
	// Its alert is lost where it closed before CONNECT had been written.
	errAfterTLS = errors.New("the broker closed the connection after the TLS handshake: does it want another client certificate (cert_file and key_file)?")
)

// handshakeError says of paho's error whether the broker refused or the
// network failed.
func handshakeError(err error, at address) error {
	if !errors.Is(err, packets.ErrorNetworkError) {
		return fmt.Errorf("the broker refused the connection: %w", err)
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		err = joined.Unwrap()[1] // paho's "network Error : <the error>"
	}
	switch {
	case at.transport == overTCP && closedByPeer(err):
		return errWantsTLS
	case at.transport == overTLS && closedByPeer(err):
		return errAfterTLS
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
	case tlsReason(err) != "":
		return tlsReason(err)
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
