// Package mqtt publishes messages to an MQTT broker that may be away, slow or
// restarted at any time, and never makes the publisher wait for it.
//
// A [Client] keeps an outbox in memory, one goroutine that connects, sends and
// waits for acknowledgements, and, where events are to outlive the process,
// another that keeps them on disk. [Client.Publish] only copies a message into
// the outbox. What becomes of it there depends on its kind:
//
//   - A state (Retain) is the present value of its topic. Only the newest one
//     is kept, and every connection starts by publishing all of them again, so
//     that a broker that forgot its retained messages learns them anew and
//     "online" replaces the will. Those of QoS 0, pictures, come after the events.
//   - An event (QoS 1, not retained) queues in order until the broker has
//     acknowledged it. When the outbox is full, or its time to live is over, the
//     oldest is dropped and counted.
//   - A volatile message (QoS 0, not retained) is sent now or never: while no
//     connection is open it is dropped and counted.
//
// Delivery of events is at least once: what was in flight when a connection
// broke is sent again, in order, on the next one. With Options.OpenDisk, events
// are on disk too, and the next process publishes what this one could not,
// before its own; see the package spool for the format and persister.go for when it
// is synced. States are not kept: the next process has its own.
//
// A broker of MQTT 3.1.1 says no to a message by closing the connection. Which
// message that was is found out (closing.go), and one at which it closes again and
// again is set aside, so that the others flow (refusal.go). In MQTT 5 it says what it
// does not take, and why (code.go).
//
// The wire protocol is behind link: MQTT 3.1.1 by github.com/eclipse/paho.mqtt.golang
// with a fresh client for each connection (link3.go), or MQTT 5 by the packets of
// github.com/eclipse/paho.golang (link5.go). paho's own reconnecting is off because
// it reports success for messages that it dropped: see
// TestPahoDropsQoS0WhileReconnecting. What comes from the broker is bounded below
// both (incoming.go).
//
// The package broker runs a broker inside the process, for boxes that have none.
package mqtt
