package config

import (
	"maps"
	"slices"
	"time"

	"dynvit/camera/trust"
	"dynvit/mqtt"
	"dynvit/preprocess"
	"dynvit/vit"
)

// Config is everything that a user can set. The tags are the table of keys:
// yaml names one, doc is its line in the schema, oneof lists allowed values,
// min and max bound numbers and durations, reload says that a change of it, or of
// those below it, is taken up while the daemon runs: yes, or by a client of the
// broker, but for the embedded one.
type Config struct {
	Node          string            `yaml:"node" doc:"name of this box in topics, [A-Za-z0-9_-]+; default: the host name, dots become -"`
	Model         string            `yaml:"model" doc:"name in the model store or path to .safetensors; default: the embedded model"`
	Predictors    string            `yaml:"predictors" doc:"file with trained predictors to add to the model"`
	Scorer        string            `yaml:"scorer" oneof:"auto predictor attention cls-attention merge predictor+merge" doc:"what makes a patch worth keeping"`
	Backend       string            `yaml:"backend" oneof:"auto ref portable avx512 avx2 neon cuda" doc:"what computes"`
	Precision     string            `yaml:"precision" oneof:"auto f32 bf16 f16 int8" doc:"of the packed weights"`
	Threads       int               `yaml:"threads" min:"0" max:"1024" doc:"threads, decoding included; 0: all usable cores"`
	Latency       Latency           `yaml:"latency" reload:"yes"`
	Log           Log               `yaml:"log"`
	MQTT          MQTT              `yaml:"mqtt"`
	HomeAssistant HomeAssistant     `yaml:"homeassistant" reload:"yes"`
	Cameras       map[string]Camera `yaml:"cameras" reload:"yes" doc:"by name, [a-z0-9_-]+"`
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
	Level  string `yaml:"level" reload:"yes" oneof:"debug info warn error" doc:"least level that is written"`
	Format string `yaml:"format" oneof:"text json" doc:"of a line; text gets journald priorities under systemd"`
}

// MQTT says where results go.
type MQTT struct {
	Broker       string `yaml:"broker" reload:"client" doc:"mqtt://host:1883, mqtts://host:8883, or embedded: a broker on loopback in this process"`
	Protocol     string `yaml:"protocol" reload:"client" oneof:"3.1.1 5" doc:"version of MQTT; in 5 the broker says what it does not take, and why"`
	Username     string `yaml:"username" reload:"client" doc:"at the broker"`
	PasswordFile string `yaml:"password_file" reload:"client" doc:"file whose first line is the password; default: systemd's credential mqtt, where there is one"`
	CAFile       string `yaml:"ca_file" reload:"client" doc:"PEM file of the authorities that may have signed the broker's certificate; default: the system's"`
	CertFile     string `yaml:"cert_file" reload:"client" doc:"PEM file of this client's certificate, for brokers that want one"`
	KeyFile      string `yaml:"key_file" reload:"client" doc:"PEM file of the key of cert_file"`
	Retain       bool   `yaml:"retain" reload:"client" doc:"whether states are retained; false for brokers that know no retained messages"`
	QoS          int    `yaml:"qos" reload:"client" min:"0" max:"1" doc:"of states and events; 0 for brokers that know no other: what is on its way when a connection breaks is lost"`
	ClientID     string `yaml:"client_id" reload:"client" doc:"at the broker; default: dynvit-<node>"`
	TopicPrefix  string `yaml:"topic_prefix" doc:"first words of every topic"`
	Commands     bool   `yaml:"commands" reload:"yes" doc:"whether commands are taken over MQTT"`
	Outbox       Outbox `yaml:"outbox"`
}

// Outbox bounds what waits while the broker is away, in memory and on disk.
type Outbox struct {
	SizeMiB int           `yaml:"size_mib" min:"1" max:"1024" doc:"topics and payloads that may wait; beyond it the oldest events are dropped"`
	TTL     time.Duration `yaml:"ttl" min:"1s" max:"87600h" doc:"events that waited for longer are dropped"`
}

// Versions of MQTT, as mqtt.protocol names them.
const (
	Protocol3 = "3.1.1"
	Protocol5 = "5"
)

// Version is the protocol's.
func (m *MQTT) Version() mqtt.Protocol {
	if m.Protocol == Protocol5 {
		return mqtt.Protocol5
	}
	return mqtt.Protocol3
}

// TLS are the files for a connection to the broker over TLS.
func (m *MQTT) TLS() mqtt.TLS { return mqtt.TLS{CA: m.CAFile, Certificate: m.CertFile, Key: m.KeyFile} }

// HomeAssistant says how Home Assistant discovers the box.
type HomeAssistant struct {
	Enabled         bool   `yaml:"enabled" doc:"whether discovery is published"`
	DiscoveryPrefix string `yaml:"discovery_prefix" doc:"Home Assistant's own setting of that name"`
}

// Camera is one source and how its labels become states.
type Camera struct {
	Source      string            `yaml:"source" doc:"URI, see Sources"`
	Model       string            `yaml:"model" doc:"that looks at it: a name in the model store or a path; default: the node's"`
	Models      Models            `yaml:"models" doc:"several that look at it, or by their names labels, min_score and stable of each"`
	CAFile      string            `yaml:"ca_file" doc:"PEM file of the authorities that may have signed the camera's certificate; default: the system's"`
	Fingerprint string            `yaml:"fingerprint" doc:"SHA-256 of the camera's certificate, in place of an authority's word; a refusal shows it"`
	Enabled     bool              `yaml:"enabled" doc:"whether the source is opened"`
	MaxFPS      float64           `yaml:"max_fps" min:"0" max:"1000" doc:"frames a second looked at; 0: as they come"`
	Region      preprocess.Region `yaml:"region" doc:"x0, y0, x1, y1 of the part to look at, as fractions"`
	Stable      int               `yaml:"stable" min:"1" max:"1000" doc:"equal labels in a row that make a change"`
	MinScore    float64           `yaml:"min_score" min:"0" max:"1" doc:"below it the label is null"`
	Labels      []string          `yaml:"labels" doc:"only these make states and events, others count as null; empty: all"`
	Motion      float64           `yaml:"motion" min:"0" max:"1" doc:"skip a frame that differs less than this share from the last one looked at; 0: off"`
	Timeout     time.Duration     `yaml:"timeout" min:"100ms" max:"24h" doc:"no frame for so long is a stall"`
	Heartbeat   time.Duration     `yaml:"heartbeat" min:"1s" max:"24h" doc:"the state is published at least this often while frames come"`
	Publish     Publish           `yaml:"publish"`
}

// Trust says which certificate the camera may show.
func (c *Camera) Trust() trust.Trust {
	return trust.Trust{CAFile: c.CAFile, Fingerprint: c.Fingerprint}
}

// Publish switches on the topics that are off by default.
type Publish struct {
	Frame    bool `yaml:"frame" doc:"the result of every frame"`
	Snapshot bool `yaml:"snapshot" doc:"a JPEG at each change"`
}

// HTTP is the local server.
type HTTP struct {
	Listen    string   `yaml:"listen" doc:"host:port of the live page, /healthz, /readyz and /metrics; a port alone means loopback; empty: off"`
	Hosts     []string `yaml:"hosts" doc:"names by which it may be asked, beside addresses, localhost and that of listen"`
	TokenFile string   `yaml:"token_file" doc:"file whose first line must be sent as bearer token, 16 characters or more"`
	CertFile  string   `yaml:"cert_file" doc:"PEM file of its certificate: it then speaks TLS"`
	KeyFile   string   `yaml:"key_file" doc:"PEM file of the key of cert_file"`
	Pprof     bool     `yaml:"pprof" doc:"whether it has Go's profiles below /debug/pprof/"`
}

// TLS are the files of the server's certificate.
func (h HTTP) TLS() mqtt.TLS { return mqtt.TLS{Certificate: h.CertFile, Key: h.KeyFile} }

// Embedded is the broker's name that starts one in the process.
const Embedded = "embedded"

// Default is the configuration of a box named host where nothing is set. It has
// no cameras and no broker.
func Default(host string) Config {
	return Config{
		Node:      nodeOf(host),
		Scorer:    "auto",
		Backend:   "auto",
		Precision: "auto",
		Latency:   Latency{Budget: 50 * time.Millisecond, Percentile: 95},
		Log:       Log{Level: "info", Format: "text"},
		MQTT: MQTT{
			Protocol: Protocol3, TopicPrefix: "dynvit", Commands: true, Retain: true, QoS: 1,
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
