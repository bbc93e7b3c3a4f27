package daemon

import (
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/mqtt"
	"dynvit/preprocess"
	"dynvit/vit"
)

// Config is everything that a user can set. The tags are the table of keys:
// yaml names one, doc is its line in the schema, oneof lists allowed values,
// min and max bound numbers and durations.
type Config struct {
	Node          string            `yaml:"node" doc:"name of this box in topics, [A-Za-z0-9_-]+; default: the host name, dots become -"`
	Model         string            `yaml:"model" doc:"name in the model store or path to .safetensors; default: the embedded model"`
	Predictors    string            `yaml:"predictors" doc:"file with trained predictors to add to the model"`
	Scorer        string            `yaml:"scorer" oneof:"auto predictor attention cls-attention" doc:"what makes a patch worth keeping"`
	Backend       string            `yaml:"backend" oneof:"auto ref portable avx512 avx2 neon cuda" doc:"what computes"`
	Precision     string            `yaml:"precision" oneof:"auto f32 bf16 f16 int8" doc:"of the packed weights"`
	Threads       int               `yaml:"threads" min:"0" max:"1024" doc:"threads, decoding included; 0: all usable cores"`
	Latency       Latency           `yaml:"latency"`
	Log           Log               `yaml:"log"`
	MQTT          MQTT              `yaml:"mqtt"`
	HomeAssistant HomeAssistant     `yaml:"homeassistant"`
	Cameras       map[string]Camera `yaml:"cameras" doc:"by name, [a-z0-9_-]+"`
	HTTP          HTTP              `yaml:"http"`

	from origins // where each key was set, for errors that only the model can find
}

// Latency is the budget of a whole frame and what may be given up for it.
type Latency struct {
	Budget     time.Duration `yaml:"budget" min:"1ms" max:"1m" doc:"time for a whole frame: decode, preprocess and model"`
	Percentile float64       `yaml:"percentile" min:"1" max:"99.9" doc:"share of frames, in percent, that hold the budget"`
	Keep       vit.Keep      `yaml:"keep" doc:"auto, a ratio in (0, 1], or patches kept a stage such as 127,95,63"`
}

// Log says what goes to stderr.
type Log struct {
	Level  string `yaml:"level" oneof:"debug info warn error" doc:"least level that is written"`
	Format string `yaml:"format" oneof:"text json" doc:"of a line; text gets journald priorities under systemd"`
}

// MQTT says where results go.
type MQTT struct {
	Broker       string `yaml:"broker" doc:"mqtt://host:1883, mqtts://host:8883, or embedded: a broker on loopback in this process"`
	Username     string `yaml:"username" doc:"at the broker"`
	PasswordFile string `yaml:"password_file" doc:"file whose first line is the password; default: systemd's credential mqtt, where there is one"`
	CAFile       string `yaml:"ca_file" doc:"PEM file of the authorities that may have signed the broker's certificate; default: the system's"`
	CertFile     string `yaml:"cert_file" doc:"PEM file of this client's certificate, for brokers that want one"`
	KeyFile      string `yaml:"key_file" doc:"PEM file of the key of cert_file"`
	ClientID     string `yaml:"client_id" doc:"at the broker; default: dynvit-<node>"`
	TopicPrefix  string `yaml:"topic_prefix" doc:"first words of every topic"`
	Commands     bool   `yaml:"commands" doc:"whether commands are taken over MQTT"`
	Outbox       Outbox `yaml:"outbox"`
}

// Outbox bounds what waits while the broker is away, in memory and on disk.
type Outbox struct {
	SizeMiB int           `yaml:"size_mib" min:"1" max:"1024" doc:"topics and payloads that may wait; beyond it the oldest events are dropped"`
	TTL     time.Duration `yaml:"ttl" min:"1s" max:"87600h" doc:"events that waited for longer are dropped"`
}

// tls are the files for a connection to the broker over TLS.
func (m *MQTT) tls() mqtt.TLS { return mqtt.TLS{CA: m.CAFile, Certificate: m.CertFile, Key: m.KeyFile} }

// HomeAssistant says how Home Assistant discovers the box.
type HomeAssistant struct {
	Enabled         bool   `yaml:"enabled" doc:"whether discovery is published"`
	DiscoveryPrefix string `yaml:"discovery_prefix" doc:"Home Assistant's own setting of that name"`
}

// Camera is one source and how its labels become states.
type Camera struct {
	Source    string            `yaml:"source" doc:"URI, see Sources"`
	Enabled   bool              `yaml:"enabled" doc:"whether the source is opened"`
	MaxFPS    float64           `yaml:"max_fps" min:"0" max:"1000" doc:"frames a second looked at; 0: as they come"`
	Region    preprocess.Region `yaml:"region" doc:"x0, y0, x1, y1 of the part to look at, as fractions"`
	Stable    int               `yaml:"stable" min:"1" max:"1000" doc:"equal labels in a row that make a change"`
	MinScore  float64           `yaml:"min_score" min:"0" max:"1" doc:"below it the label is null"`
	Labels    []string          `yaml:"labels" doc:"only these make states and events, others count as null; empty: all"`
	Motion    float64           `yaml:"motion" min:"0" max:"1" doc:"skip a frame that differs less than this share from the last one looked at; 0: off"`
	Timeout   time.Duration     `yaml:"timeout" min:"100ms" max:"24h" doc:"no frame for so long is a stall"`
	Heartbeat time.Duration     `yaml:"heartbeat" min:"1s" max:"24h" doc:"the state is published at least this often while frames come"`
	Publish   Publish           `yaml:"publish"`
}

// Publish switches on the topics that are off by default.
type Publish struct {
	Frame    bool `yaml:"frame" doc:"the result of every frame"`
	Snapshot bool `yaml:"snapshot" doc:"a JPEG at each change"`
}

// HTTP is the local server.
type HTTP struct {
	Listen string `yaml:"listen" doc:"host:port of /healthz and /readyz; a port alone means loopback; empty: off"`
}

// Embedded is the broker's name that starts one in the process.
const Embedded = "embedded"

// Default is the configuration of a box named host where nothing is set. It has
// no cameras and no broker.
func Default(host string) Config {
	return Config{
		Node:      strings.ReplaceAll(host, ".", "-"),
		Scorer:    "auto",
		Backend:   "auto",
		Precision: "auto",
		Latency:   Latency{Budget: 50 * time.Millisecond, Percentile: 95},
		Log:       Log{Level: "info", Format: "text"},
		MQTT: MQTT{
			TopicPrefix: "dynvit", Commands: true,
			Outbox: Outbox{SizeMiB: 16, TTL: 7 * 24 * time.Hour},
		},
		HomeAssistant: HomeAssistant{Enabled: true, DiscoveryPrefix: "homeassistant"},
		Cameras:       map[string]Camera{},
	}
}

// DefaultCamera is a camera of which only the source is left to set.
func DefaultCamera() Camera {
	return Camera{
		Enabled: true, Region: preprocess.Whole, Stable: 3, MinScore: 0.3,
		Timeout: 10 * time.Second, Heartbeat: time.Minute,
	}
}

// CameraNames lists the cameras in the order in which they are served.
func (c *Config) CameraNames() []string { return slices.Sorted(maps.Keys(c.Cameras)) }

// Validate reports the first value, in the order of the keys, that is wrong by
// itself or beside others. The error is a *ConfigError without a place.
func (c *Config) Validate() error {
	if err := checkBounds("", c); err != nil {
		return err
	}
	for _, check := range []func() error{c.checkNames, c.checkBroker, c.checkTLS, c.checkHTTP, c.checkCameras} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

var (
	nodeName   = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	cameraName = regexp.MustCompile(`^[a-z0-9_-]+$`)
)

func (c *Config) checkNames() error {
	if !nodeName.MatchString(c.Node) {
		return invalid("node", "%q: want letters, digits, _ and -", c.Node)
	}
	if err := checkPrefix("mqtt.topic_prefix", c.MQTT.TopicPrefix); err != nil {
		return err
	}
	return checkPrefix("homeassistant.discovery_prefix", c.HomeAssistant.DiscoveryPrefix)
}

func checkPrefix(key, prefix string) error {
	if prefix == "" || strings.ContainsAny(prefix, "+#\x00") || strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/") {
		return invalid(key, "%q: want a topic without +, # and / at its ends", prefix)
	}
	return nil
}

func (c *Config) checkBroker() error {
	switch c.MQTT.Broker {
	case Embedded:
		return nil
	case "":
		return invalid("mqtt.broker", "no broker named: want mqtt://host, mqtts://host or %s", Embedded)
	}
	if err := mqtt.Check(c.MQTT.Broker); err != nil {
		return invalid("mqtt.broker", "%w", err)
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
			return invalid("mqtt."+file.key, "the broker is not spoken to over TLS: want mqtts:// in mqtt.broker")
		}
	}
	switch {
	case m.CertFile != "" && m.KeyFile == "":
		return invalid("mqtt.cert_file", "want key_file, too")
	case m.CertFile == "" && m.KeyFile != "":
		return invalid("mqtt.key_file", "want cert_file, too")
	}
	return nil
}

// readTLS finds out whether the files of TLS can be used.
func (c *Config) readTLS() error {
	if err := (mqtt.TLS{CA: c.MQTT.CAFile}).Check(); err != nil {
		return invalid("mqtt.ca_file", "%w", err)
	}
	if err := c.MQTT.tls().Check(); err != nil {
		return invalid("mqtt.cert_file", "%w", err)
	}
	return nil
}

func (c *Config) checkHTTP() error {
	if c.HTTP.Listen == "" {
		return nil
	}
	if _, err := listenAddress(c.HTTP.Listen); err != nil {
		return invalid("http.listen", "%q: want host:port or a port", c.HTTP.Listen)
	}
	return nil
}

// listenAddress is host:port of what http.listen says; a missing host is
// loopback, never all interfaces.
func listenAddress(listen string) (string, error) {
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

func (c *Config) checkCameras() error {
	for _, name := range c.CameraNames() {
		key := "cameras." + name
		if !cameraName.MatchString(name) {
			return invalid(key, "camera name %q: want a to z, 0 to 9, _ and -", name)
		}
		cam := c.Cameras[name]
		if cam.Source == "" {
			return invalid(key+".source", "no source named: want a URI such as v4l2:/dev/video0 or test:")
		}
		if _, err := camera.Parse(cam.Source); err != nil {
			return invalid(key+".source", "%w", err)
		}
		if err := cam.Region.Check(); err != nil {
			return invalid(key+".region", "%w", err)
		}
	}
	return nil
}

// Password reads the broker's password, from password_file or else from the
// systemd credential "mqtt" of this service; "" where there is neither. The error
// is a *ConfigError.
func (c *Config) Password(getenv func(string) string) (string, error) {
	path := c.MQTT.PasswordFile
	if dir := getenv("CREDENTIALS_DIRECTORY"); path == "" && dir != "" {
		path = dir + "/mqtt"
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return "", nil
		}
	}
	if path == "" {
		return "", nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", invalid("mqtt.password_file", "read %s: %w", path, pathless(err))
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
