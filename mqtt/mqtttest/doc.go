// Package mqtttest is an MQTT broker for tests that records what it gets and
// misbehaves on command.
//
// It speaks the part of MQTT 3.1.1 and 5 that a publisher needs: CONNECT with a
// will, PUBLISH at QoS 0 and 1, SUBSCRIBE, PINGREQ, DISCONNECT. It passes nothing
// on: subscribers get what a test sends them ([Broker.Send]), and a test reads what
// arrived with [Broker.Await] and friends. A broker is reached over TCP ([Listen])
// or over in-memory connections ([Broker.Dial]), which work inside a
// testing/synctest bubble.
//
// Beside it stand Debian's broker ([Mosquitto]), a disk that fails ([Disk]) and
// ports that nobody else is given meanwhile ([Reserve]).
package mqtttest
