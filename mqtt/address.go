package mqtt

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// transport is what carries MQTT packets to a broker.
type transport uint8

const (
	overTCP transport = iota
	overTLS
	overWebSocket // ws and wss; the URL's scheme tells them apart
)

// schemes are the URL schemes a broker may be named by.
var schemes = map[string]struct {
	transport transport
	port      string // where the URL names none; "" leaves it to the transport
}{
	"mqtt":  {overTCP, "1883"},
	"tcp":   {overTCP, "1883"},
	"mqtts": {overTLS, "8883"},
	"ssl":   {overTLS, "8883"},
	"tls":   {overTLS, "8883"},
	"ws":    {overWebSocket, "80"},
	"wss":   {overWebSocket, "443"},
}

// address is where a broker is, without credentials.
type address struct {
	url       *url.URL
	transport transport
}

func (a address) String() string { return a.url.String() }

// Check reports whether broker names a broker that New would accept: a URL
// mqtt://host[:port], mqtts://, tcp://, ssl://, tls://, ws:// or wss://, or
// host[:port] alone, which means mqtt://. The default ports are 1883, and 8883
// over TLS. Credentials in the URL are refused: URLs end up in logs.
func Check(broker string) error {
	_, err := parseAddress(broker)
	return err
}

// Secure reports whether broker is one that is spoken to over TLS.
func Secure(broker string) bool {
	at, err := parseAddress(broker)
	return err == nil && (at.transport == overTLS || at.url.Scheme == "wss")
}

// parseAddress never repeats what it could not parse: it may hold a password.
func parseAddress(broker string) (address, error) {
	if broker == "" {
		return address{}, errors.New("mqtt: no broker named")
	}
	if !strings.Contains(broker, "://") {
		broker = "mqtt://" + broker
	}
	if isBareIPv6(broker) {
		return address{}, errors.New("mqtt: broker URL has an IPv6 address without brackets: want it as in mqtt://[fe80::1]:1883")
	}
	u, err := url.Parse(broker)
	if err != nil {
		return address{}, errors.New("mqtt: broker is not a valid URL, want mqtt://host:port")
	}
	if u.User != nil {
		return address{}, errors.New("mqtt: broker URL holds credentials: give the user name and password separately")
	}
	s, ok := schemes[u.Scheme]
	if !ok {
		return address{}, fmt.Errorf("mqtt: broker URL has scheme %q, want mqtt, mqtts, tcp, ssl, tls, ws or wss", u.Scheme)
	}
	if err := checkURL(u, s.transport); err != nil {
		return address{}, err
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), s.port)
	}
	return address{url: u, transport: s.transport}, nil
}

// isBareIPv6 finds an IPv6 address without brackets, where nobody can tell the port
// from its end.
func isBareIPv6(broker string) bool {
	_, rest, _ := strings.Cut(broker, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	a, err := netip.ParseAddr(rest)
	return err == nil && a.Is6()
}

func checkURL(u *url.URL, t transport) error {
	host := u.Hostname()
	if host == "" {
		return errors.New("mqtt: broker URL names no host")
	}
	if !isHost(host) {
		return errors.New("mqtt: broker URL has a host that is neither a name nor an address")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("mqtt: broker URL has a port outside 1 to 65535")
		}
	}
	if u.Fragment != "" {
		return errors.New("mqtt: broker URL has a fragment (#...)")
	}
	if t != overWebSocket && (strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
		return errors.New("mqtt: broker URL has a path or query, which only ws and wss have")
	}
	return nil
}

// isHost accepts IP addresses and names as resolvers know them; an
// international name must be in its ASCII form.
func isHost(host string) bool {
	name, zone, _ := strings.Cut(host, "%")
	if strings.Trim(name+zone, hostCharacters+":") != "" {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err == nil || !strings.ContainsAny(host, ":%")
}

const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
