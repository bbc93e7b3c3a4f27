package broker

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// address is the host and port to listen on, once that is allowed.
func (o *Options) address() (host string, port int, err error) {
	listen := o.Listen
	if _, err := strconv.ParseUint(listen, 10, 16); err == nil {
		return "", 0, fmt.Errorf("mqtt: broker address %q is a port alone, want host:port", listen)
	}
	h, p, err := net.SplitHostPort(listen)
	if err != nil {
		h, p = strings.Trim(listen, "[]"), "1883"
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("mqtt: broker address %q: want host:port", listen)
	}
	if (o.Username == "") != (o.Password == "") {
		return "", 0, errors.New("mqtt: broker needs both a user name and a password, or neither")
	}
	if o.Username == "" && !isLoopback(h) {
		return "", 0, fmt.Errorf("mqtt: broker on %s is open to the network: set a user name and password, or listen on 127.0.0.1", listen)
	}
	return h, int(n), nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// listenFrom listens on port or, while that is in use, on one of the next.
func listenFrom(host string, port, next int) (net.Listener, error) {
	last := min(port+next, 1<<16-1)
	for p := port; ; p++ {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		switch {
		case err == nil:
			return l, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("mqtt: broker: %w", err)
		case p < last:
			continue
		}
		return nil, fmt.Errorf("mqtt: broker on %s: port in use, is another broker running?", net.JoinHostPort(host, portRange(port, last)))
	}
}

func portRange(first, last int) string {
	if first == last {
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}
