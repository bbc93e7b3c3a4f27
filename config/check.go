package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dynvit/camera"
	"dynvit/camera/trust"
	"dynvit/mqtt"
)

// Validate reports the first value, in the order of the keys, that is wrong by
// itself or beside others; a source must be of one of the schemes. The error is a
// *Error without a place.
func (c *Config) Validate(schemes camera.Schemes) error {
	if err := checkBounds("", c); err != nil {
		return err
	}
	for _, check := range []func() error{c.checkNames, c.checkBroker, c.checkTLS, c.checkHTTP} {
		if err := check(); err != nil {
			return err
		}
	}
	return c.checkCameras(schemes)
}

var (
	nodeName   = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	notOfNode  = regexp.MustCompile(`[^A-Za-z0-9_-]`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	cameraName = regexp.MustCompile(`^[a-z0-9_-]+$`)
	cameraKeys = regexp.MustCompile(`^cameras\.[a-z0-9_-]+\.(.+)$`)
)

// IsCameraName reports whether a camera may have that name.
func IsCameraName(name string) bool { return cameraName.MatchString(name) }

// nodeOf makes a node's name of a host's: what a topic of ours does not carry
// becomes -; "" where nothing is left.
func nodeOf(host string) string {
	return strings.Trim(notOfNode.ReplaceAllString(host, "-"), "-")
}

func (c *Config) checkNames() error {
	if _, given := c.from["node"]; !given && c.Node == "" {
		return Invalid("node", "the host name has nothing of which one can be made: set node, or --node")
	}
	if !nodeName.MatchString(c.Node) {
		return Invalid("node", "%q: want letters, digits, _ and -", c.Node)
	}
	if err := checkPrefix("mqtt.topic_prefix", c.MQTT.TopicPrefix); err != nil {
		return err
	}
	return checkPrefix("homeassistant.discovery_prefix", c.HomeAssistant.DiscoveryPrefix)
}

// Warnings are what is allowed and most likely not meant, a line each.
func (c *Config) Warnings() []string {
	_, given := c.from["node"]
	if name, _, _ := strings.Cut(c.Node, "-"); !given && (name == "localhost" || name == "none") {
		return []string{fmt.Sprintf("the node is %s, as the host's name has it: two such boxes would write the same topics; set node, or --node", c.Node)}
	}
	return nil
}

func checkPrefix(key, prefix string) error {
	if prefix == "" || strings.ContainsAny(prefix, "+#\x00") || strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/") {
		return Invalid(key, "%q: want a topic without +, # and / at its ends", prefix)
	}
	return nil
}

func (c *Config) checkBroker() error {
	switch c.MQTT.Broker {
	case Embedded:
		return nil
	case "":
		return Invalid("mqtt.broker", "no broker named: want mqtt://host, mqtts://host or %s", Embedded)
	}
	if err := mqtt.Check(c.MQTT.Broker); err != nil {
		return Invalid("mqtt.broker", "%w", err)
	}
	return nil
}

// checkTLS holds the files of TLS against each other and the broker, without
// reading them.
func (c *Config) checkTLS() error {
	m := &c.MQTT
	secure := m.Broker != Embedded && mqtt.Secure(m.Broker)
	for _, file := range []struct{ key, value string }{{"ca_file", m.CAFile}, {"cert_file", m.CertFile}, {"key_file", m.KeyFile}} {
		if file.value != "" && !secure {
			return Invalid("mqtt."+file.key, "the broker is not spoken to over TLS: want mqtts:// in mqtt.broker")
		}
	}
	switch {
	case m.CertFile != "" && m.KeyFile == "":
		return Invalid("mqtt.cert_file", "want key_file, too")
	case m.CertFile == "" && m.KeyFile != "":
		return Invalid("mqtt.key_file", "want cert_file, too")
	}
	return nil
}

// ReadTLS finds out whether the files of TLS can be used.
func (c *Config) ReadTLS() error {
	if err := (mqtt.TLS{CA: c.MQTT.CAFile}).Check(); err != nil {
		return Invalid("mqtt.ca_file", "%w", err)
	}
	if err := c.MQTT.TLS().Check(); err != nil {
		return Invalid("mqtt.cert_file", "%w", err)
	}
	if err := c.HTTP.TLS().Check(); err != nil {
		return Invalid("http.cert_file", "%w", err)
	}
	for _, name := range c.CameraNames() {
		cam := c.Cameras[name]
		if err := (trust.Trust{CAFile: cam.CAFile}).Check(); err != nil {
			return Invalid("cameras."+name+".ca_file", "%w", err)
		}
	}
	return nil
}

func (c *Config) checkHTTP() error {
	for _, name := range c.HTTP.Hosts {
		if !hostName.MatchString(name) {
			return Invalid("http.hosts", "%q: want a host's name, without a port", name)
		}
	}
	switch {
	case c.HTTP.CertFile != "" && c.HTTP.KeyFile == "":
		return Invalid("http.cert_file", "want key_file, too")
	case c.HTTP.CertFile == "" && c.HTTP.KeyFile != "":
		return Invalid("http.key_file", "want cert_file, too")
	case c.HTTP.Listen == "":
		return nil
	}
	address, err := c.HTTP.Address()
	if err != nil {
		return Invalid("http.listen", "%q: want host:port or a port", c.HTTP.Listen)
	}
	return c.HTTP.checkReach(address)
}

// checkReach holds what strangers may reach to how they are kept off.
func (h HTTP) checkReach(address string) error {
	host, _, err := net.SplitHostPort(address)
	if ip, bad := netip.ParseAddr(host); err != nil || host == "localhost" || bad == nil && ip.IsLoopback() {
		return nil
	}
	switch {
	case h.TokenFile == "" && h.CertFile == "":
		return Invalid("http.listen", "%q: others than this machine reach it: want token_file, or cert_file and key_file, too", h.Listen)
	case h.Pprof && h.TokenFile == "":
		return Invalid("http.pprof", "others than this machine reach %q: want token_file, too", h.Listen)
	}
	return nil
}

// Address is host:port of what http.listen says, which is not empty; a missing
// host is loopback, never all interfaces.
func (h HTTP) Address() (string, error) {
	listen := h.Listen
	if !strings.Contains(listen, ":") {
		listen = ":" + listen
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("port %q: want 0 to 65535", port)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Names are the server's own, by which it may be asked: those of http.hosts and
// that of http.listen.
func (h HTTP) Names() []string {
	names := slices.Clone(h.Hosts)
	if host, _, err := net.SplitHostPort(h.Listen); err == nil && host != "" {
		names = append(names, host)
	}
	return names
}

func (c *Config) checkCameras(schemes camera.Schemes) error {
	for _, name := range c.CameraNames() {
		key := "cameras." + name
		if !IsCameraName(name) {
			return Invalid(key, "camera name %q: want a to z, 0 to 9, _ and -", name)
		}
		cam := c.Cameras[name]
		if cam.Source == "" {
			return Invalid(key+".source", "no source named: want a URI such as v4l2:/dev/video0 or test:")
		}
		spec, err := schemes.Parse(cam.Source)
		if err != nil {
			return Invalid(key+".source", "%w", err)
		}
		if err := cam.checkTrust(key, spec.Scheme()); err != nil {
			return err
		}
		if err := cam.checkModels(key); err != nil {
			return err
		}
		if err := cam.Region.Check(); err != nil {
			return Invalid(key+".region", "%w", err)
		}
	}
	return nil
}

// checkTrust holds what is said of a camera's certificate against its source,
// without reading files.
func (c *Camera) checkTrust(key, scheme string) error {
	for _, k := range []struct{ name, value string }{{"ca_file", c.CAFile}, {"fingerprint", c.Fingerprint}} {
		if k.value != "" && scheme != "https" && scheme != "rtsps" {
			return Invalid(key+"."+k.name, "the camera is not spoken to over TLS: want https:// or rtsps:// in source")
		}
	}
	if c.Fingerprint != "" { // else it would read a file
		if err := c.Trust().Check(); err != nil {
			return Invalid(key+".fingerprint", "%w", err)
		}
	}
	return nil
}
