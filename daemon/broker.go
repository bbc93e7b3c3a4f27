package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"dynvit/mqtt"
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

// connect starts the embedded broker, if it is wanted, and the client. A broker
// that is away is the client's to wait for.
func (d *Daemon) connect() error {
	url := d.config.MQTT.Broker
	if url == Embedded {
		if err := d.embed(); err != nil {
			return err
		}
		url = d.broker.URL()
	}
	d.inbox = d.newInbox()
	o := mqtt.Options{
		Subscribe: d.inbox.filters(), Received: d.inbox.put,
		Broker: url, Username: d.config.MQTT.Username, Password: d.password, ClientID: d.config.MQTT.ClientID,
		Will:  &mqtt.Message{Topic: d.topics.status, Payload: []byte(nodeOffline), QoS: 1, Retain: true},
		Birth: d.birth(),
		Log:   d.log,
		Pulse: d.loops.Loop("mqtt", mqttLimit),
		Dial:  d.deps.dial,
		TLS:   d.config.MQTT.tls(),

		QueueBytes: d.config.MQTT.Outbox.SizeMiB << 20, EventTTL: d.config.MQTT.Outbox.TTL,
		OpenDisk: d.openDisk(),
	}
	var err error
	if d.client, err = mqtt.New(o); err != nil {
		return errors.Join(invalid("mqtt.broker", "%w", err), d.closeBroker())
	}
	d.client.Start()
	return nil
}

// openDisk opens the folder of events that wait. An embedded broker is there as
// long as the daemon: nothing waits for it. Nodes that share a state folder do
// not share events.
func (d *Daemon) openDisk() func() (spool.Disk, error) {
	if d.deps.State == "" || d.broker != nil {
		return nil
	}
	folder := filepath.Join(d.deps.State, "outbox", d.config.Node)
	return func() (spool.Disk, error) { return spool.OpenFolder(folder) }
}

// birth is what every connection begins with.
func (d *Daemon) birth() []mqtt.Message {
	return []mqtt.Message{
		{Topic: d.topics.status, Payload: []byte(nodeOnline), QoS: 1, Retain: true},
		{Topic: d.topics.info, Payload: encode(d.info()), QoS: 1, Retain: true},
		{Topic: d.topics.settings, Payload: encode(d.settings()), QoS: 1, Retain: true},
	}
}

func (d *Daemon) embed() error {
	o := mqtt.BrokerOptions{
		Listen: d.deps.brokerListen, Username: d.config.MQTT.Username, Password: d.password, Log: d.log,
	}
	if d.deps.NoFile {
		o.NextPorts = nextPorts
	}
	var err error
	if d.broker, err = mqtt.ListenBroker(o); err != nil {
		return fmt.Errorf("embedded broker: %w", err)
	}
	d.log.Info("embedded broker started", "url", d.broker.URL(), "topics", d.topics.root+"/#")
	return nil
}

// disconnect publishes the last status and ends the client and the broker.
// Without a connection there is nobody to tell, which is no failure.
func (d *Daemon) disconnect() error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	last := mqtt.Message{Topic: d.topics.status, Payload: []byte(nodeStopped), QoS: 1, Retain: true}
	if err := d.client.Close(ctx, last); err != nil {
		d.log.Warn("stopped without telling the broker all", "err", err)
	}
	return d.closeBroker()
}

func (d *Daemon) closeBroker() error {
	if d.broker == nil {
		return nil
	}
	return d.broker.Close()
}
