package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/gorilla/websocket"
)

// The broker closed a connection before it answered.
var (
	errWantsTLS = errors.New("the broker closed the connection at once: does this port want TLS (mqtts://)?")
	// Its alert is lost where it closed before CONNECT had been written.
	errAfterTLS = errors.New("the broker closed the connection after the TLS handshake: does it want another client certificate (cert_file and key_file)?")
)

// closedUnanswered says why the broker may have closed the connection at CONNECT.
// Other errors stay as they are.
func closedUnanswered(err error, will *Message, at address) error {
	switch {
	case !closedByPeer(err):
		return err
	case at.transport == overTCP:
		err = errWantsTLS
	case at.transport == overTLS:
		err = errAfterTLS
	}
	if will != nil && will.Retain {
		return fmt.Errorf("%w Or does it take no will that is retained, of QoS %d (mqtt.retain, mqtt.qos)?", err, will.QoS)
	}
	if will != nil && will.QoS > 0 {
		return fmt.Errorf("%w Or does it take no will of QoS %d (mqtt.qos)?", err, will.QoS)
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
		return lookupReason(dns)
	case errors.Is(err, websocket.ErrBadHandshake):
		return "no WebSocket there: is the path right? Many brokers have it at /mqtt, as in ws://host:port/mqtt"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

// lookupReason says why a name was not found. This program asks /etc/hosts and DNS, and the local network for names in
// .local; others ask the modules of the system's C library, so that mosquitto_pub reaches names that this one does not.
func lookupReason(err *net.DNSError) string {
	what := fmt.Sprintf("look up %s: %s", err.Name, err.Err)
	if !err.IsNotFound {
		return what
	}
	const instead = "name the address instead, or put the name into /etc/hosts"
	name := strings.ToLower(strings.TrimSuffix(err.Name, "."))
	if strings.HasSuffix(name, ".local") {
		return what + ": nobody in the local network answers for it (mDNS): is it spelt so, and the machine on? Else " + instead
	}
	if others := otherSources(nsswitch); len(others) > 0 {
		return fmt.Sprintf("%s in /etc/hosts and DNS, which is all this program asks; mosquitto_pub asks %s too (%s): %s",
			what, strings.Join(others, ", "), nsswitch, instead)
	}
	return what
}

const nsswitch = "/etc/nsswitch.conf"

// otherSources lists the modules that the system's C library asks for host names,
// other than files and DNS.
func otherSources(path string) (list []string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil // without the file it asks those two
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		modules, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:")
		if !ok {
			continue
		}
		for _, m := range strings.Fields(modules) {
			if m != "files" && m != "dns" && !strings.ContainsAny(m, "[]=") && !slices.Contains(list, m) {
				list = append(list, m)
			}
		}
	}
	return list
}
