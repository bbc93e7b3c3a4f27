package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"dynvit/config"
	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/mqtt/broker"
	"dynvit/mqtt/spool"
)

const (
	// farewell is how long what waits may still be published at the end. The
	// last status comes after it, and all is over within a second.
	farewell = 400 * time.Millisecond

	// nextPorts is how many ports after 1883 an embedded broker tries that
	// nobody configured.
	nextPorts = 100
)

// connection leads to the broker, which may be in this process.
type connection struct {
	client   *mqtt.Client
	options  mqtt.Options
	embedded *broker.Broker // nil: it is another program
	last     mqtt.Message   // what it ends with
	log      *slog.Logger
}

// connect starts the embedded broker, if it is wanted, and the client. A broker
// that is away is the client's to wait for.
func (d *Daemon) connect(in *inbox, birth []mqtt.Message) (*connection, error) {
	c, o := &connection{last: statusMessage(d.topics, messages.NodeStopped), log: d.log}, d.clientOptions(in, birth)
	if o.Broker == config.Embedded {
		var err error
		if c.embedded, err = d.embed(); err != nil {
			return nil, err
		}
		o.Broker = c.embedded.URL()
		if o.Dial == nil {
			o.Dial = c.embedded.Dial // by which it knows its owner
		}
	}
	if d.deps.State != "" && c.embedded == nil {
		o.OpenDisk = d.openDisk
	}
	c.options = o
	var err error
	if c.client, err = mqtt.New(o); err != nil {
		return nil, errors.Join(config.Invalid("mqtt.broker", "%w", err), c.closeBroker())
	}
	c.client.Start()
	return c, nil
}

func (d *Daemon) clientOptions(in *inbox, birth []mqtt.Message) mqtt.Options {
	m, will := &d.config.MQTT, statusMessage(d.topics, messages.NodeOffline)
	return mqtt.Options{
		Subscribe: in.filters(m.Commands), Received: in.put,
		Broker: m.Broker, Protocol: m.Version(), Username: m.Username, Password: d.password, ClientID: m.ClientID,
		Will: &will, Birth: birth, Log: d.log, Pulse: d.loops.Loop("mqtt", mqttLimit), Dial: d.deps.dial, TLS: m.TLS(),
		NoRetain: !m.Retain, NoQoS1: m.QoS == 0,
		QueueBytes: m.Outbox.SizeMiB << 20, EventTTL: m.Outbox.TTL,
	}
}

// by is how the client would connect by another configuration. What the embedded
// broker asks for stays.
func (c *connection) by(m *config.MQTT, password string) mqtt.Options {
	o := c.options
	if c.embedded == nil {
		o.Broker, o.Protocol, o.Username, o.Password, o.ClientID = m.Broker, m.Version(), m.Username, password, m.ClientID
		o.TLS = m.TLS()
	}
	o.NoRetain, o.NoQoS1 = !m.Retain, m.QoS == 0
	return o
}

// change has the client connect by another configuration, which is checked, where
// it differs.
func (c *connection) change(m *config.MQTT, password string, filters []string) {
	o := c.by(m, password)
	o.Subscribe = filters
	if o.Same(c.options) {
		return
	}
	if err := c.client.Change(o); err != nil {
		c.log.Warn("the connection to the broker stays as it is", "err", err) // a file that went away meanwhile
		return
	}
	c.options = o
}

// openDisk opens the folder of events that wait. An embedded broker is there as
// long as the daemon: nothing waits for it. Nodes that share a state folder do
// not share events.
func (d *Daemon) openDisk() (spool.Disk, error) {
	return spool.OpenFolder(filepath.Join(d.deps.State, "outbox", d.config.Node))
}

func (d *Daemon) embed() (*broker.Broker, error) {
	o := broker.Options{
		Owned:  d.topics.Owned,
		Listen: d.deps.brokerListen, Username: d.config.MQTT.Username, Password: d.password, Log: d.log,
	}
	if d.deps.NoFile {
		o.NextPorts = nextPorts
	}
	b, err := broker.Listen(o)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	d.log.Info("embedded broker started", "url", b.URL(), "topics", d.topics.Root+"/#")
	return b, nil
}

// close publishes the last status and ends the client and the broker; told is
// called where the broker has all. Without a connection there is nobody to tell,
// which is no failure.
func (c *connection) close(told func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := c.client.Close(ctx, c.last); err != nil {
		c.log.Warn("stopped without telling the broker all", "err", err)
	} else {
		told()
	}
	return c.closeBroker()
}

func (c *connection) closeBroker() error {
	if c.embedded == nil {
		return nil
	}
	return c.embedded.Close()
}
