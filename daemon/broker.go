package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"dynvit/config"
	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/mqtt/broker"
	"dynvit/mqtt/spool"
	"dynvit/retained"
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
	c := &connection{last: statusMessage(d.topics, messages.NodeStopped), options: d.lastingOptions(in, birth), log: d.log}
	if d.config.MQTT.Broker == config.Embedded {
		var err error
		if c.embedded, err = d.embed(); err != nil {
			return nil, err
		}
		if c.options.Dial == nil {
			c.options.Dial = c.embedded.Dial // by which it knows its owner
		}
	} else if d.deps.State != "" {
		c.options.OpenDisk = d.openDisk
	}
	c.options = c.by(&d.config.MQTT, d.password, in)
	var err error
	if c.client, err = mqtt.New(c.options); err != nil {
		return nil, errors.Join(config.Invalid("mqtt.broker", "%w", err), c.closeBroker())
	}
	c.client.Start()
	return c, nil
}

// lastingOptions are those that stay as long as the daemon runs.
func (d *Daemon) lastingOptions(in *inbox, birth []mqtt.Message) mqtt.Options {
	will, box := statusMessage(d.topics, messages.NodeOffline), d.config.MQTT.Outbox
	return mqtt.Options{
		Received: in.put, Will: &will, Birth: birth, Log: d.log, Pulse: d.loops.Loop("mqtt", mqttLimit), Dial: d.deps.dial,
		QueueBytes: box.SizeMiB << 20, EventTTL: box.TTL,
	}
}

// by is how the client connects by a configuration. With the embedded broker a reload
// leaves all of it but the topics as it is.
func (c *connection) by(m *config.MQTT, password string, in *inbox) mqtt.Options {
	o := c.options
	o.Broker, o.Protocol, o.Username, o.Password, o.ClientID, o.TLS = m.Broker, m.Version(), m.Username, password, m.ClientID, m.TLS()
	o.NoRetain, o.NoQoS1, o.Subscribe = !m.Retain, m.QoS == 0, in.filters(m.Commands)
	if c.embedded != nil {
		o.Broker = c.embedded.URL()
	}
	return o
}

// change has the client connect by another configuration, which is checked, where
// it differs.
func (c *connection) change(m *config.MQTT, password string, in *inbox) {
	o := c.by(m, password, in)
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
// not share events, but those of an earlier name of this one go on here, each with the topic
// that it has had.
func (d *Daemon) openDisk() (spool.Disk, error) {
	all := filepath.Join(d.deps.State, "outbox")
	own := filepath.Join(all, d.node)
	for _, name := range retained.EarlierNames(d.owner()) {
		if os.Rename(filepath.Join(all, name), own) == nil { // fails where the node has events
			d.log.Info("what waits under an earlier name of the node is published too", "node", name)
		}
	}
	return spool.OpenFolder(own)
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
