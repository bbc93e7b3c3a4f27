// Package messages is what stands on the broker: the topics of a node and its
// cameras, and the payload of each as a plain struct. Payloads are encoded here
// and nowhere else, so docs/interface.md and homeassistant have one place to
// look at. Reports, which are on the frame path, have an [Encoder] that
// allocates nothing; the rest goes through [Encode].
package messages
