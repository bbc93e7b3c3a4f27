package mqtt

import (
	"errors"
	"fmt"
)

// code is a reason code of MQTT 5 [MQTT-5 2.4]. SUBACK's of 3.1.1 are among them.
type code byte

// failure is the first code that is one.
const failure = 0x80

const (
	codeMalformed     code = 0x81
	codeBadVersion    code = 0x84
	codeNotAuthorized code = 0x87
	codeBusy          code = 0x89
	codeShutdown      code = 0x8b
	codeKeepAlive     code = 0x8d
	codeTakenOver     code = 0x8e
	codeTopicInvalid  code = 0x90
	codeTooMany       code = 0x93
	codeTooLarge      code = 0x95
	codeRate          code = 0x96
	codeQuota         code = 0x97
	codePayload       code = 0x99
	codeNoRetain      code = 0x9a
	codeNoQoS         code = 0x9b
)

var codeWords = map[code]string{
	0x00:              "normal disconnection",
	0x80:              "unspecified error",
	codeMalformed:     "malformed packet",
	0x82:              "protocol error",
	0x83:              "implementation specific error",
	codeBadVersion:    "it does not speak MQTT 5: want mqtt.protocol: 3.1.1",
	0x85:              "client id not valid",
	0x86:              "bad user name or password",
	codeNotAuthorized: "not authorized",
	0x88:              "server unavailable",
	codeBusy:          "server busy",
	0x8a:              "banned",
	codeShutdown:      "server shutting down",
	0x8c:              "bad authentication method",
	codeKeepAlive:     "keep-alive timeout",
	codeTakenOver:     "another client has connected with the same client id",
	0x8f:              "topic filter not valid",
	codeTopicInvalid:  "topic not valid",
	0x91:              "packet identifier in use",
	codeTooMany:       "more messages in flight than its receive maximum",
	0x94:              "topic alias not valid",
	codeTooLarge:      "packet too large",
	codeRate:          "message rate too high",
	codeQuota:         "quota exceeded",
	0x98:              "administrative action",
	codePayload:       "payload format not valid",
	codeNoRetain:      "it keeps no retained messages",
	codeNoQoS:         "it does not take QoS 1",
	0x9c:              "use another server",
	0x9d:              "server moved",
	0x9e:              "shared subscriptions not supported",
	0x9f:              "connection rate exceeded",
	0xa0:              "maximum connect time",
	0xa1:              "subscription identifiers not supported",
	0xa2:              "wildcard subscriptions not supported",
}

func (c code) String() string {
	if words, ok := codeWords[c]; ok {
		return words
	}
	return fmt.Sprintf("reason code 0x%02x", byte(c))
}

// passes reports a code that is about the broker's load and not about what was
// sent: nothing is given up for it.
func (c code) passes() bool {
	switch c {
	case 0x88, codeBusy, codeShutdown, codeRate, codeQuota, 0x9f:
		return true
	}
	return false
}

// ofMessage reports a code that may be about a message, and that the same message
// will bring about again.
func (c code) ofMessage() bool {
	switch c {
	case 0x80, codeMalformed, 0x82, 0x83, codeNotAuthorized, 0x8f, codeTopicInvalid, 0x91, codeTooMany, 0x94,
		codeTooLarge, codePayload, codeNoRetain, codeNoQoS, 0xa2:
		return true
	}
	return false
}

// final reports a code of PUBACK that says that trying the message again is of no
// use.
func (c code) final() bool {
	return c == codeNotAuthorized || c == codeTopicInvalid || c == codePayload
}

// refused is the broker's answer to CONNECT or to a message.
type refused struct {
	what string
	code code
}

func (r *refused) Error() string { return fmt.Sprintf("the broker refused %s: %v", r.what, r.code) }

// disconnected is a DISCONNECT of the broker's.
type disconnected struct{ code code }

func (d *disconnected) Error() string {
	return fmt.Sprintf("the broker ended the connection: %v", d.code)
}

// codeOf is the reason code behind an error.
func codeOf(err error) (c code, ok bool) {
	var r *refused
	var d *disconnected
	switch {
	case errors.As(err, &r):
		return r.code, true
	case errors.As(err, &d):
		return d.code, true
	}
	return 0, false
}
