package messages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// maxCommand bounds a command's payload in bytes; the longest needs 60.
const maxCommand = 1024

// Outcome is the payload of a command's result.
type Outcome struct {
	ID    *string `json:"id"` // as the command gave it
	OK    bool    `json:"ok"`
	Error *string `json:"error"`
	Value any     `json:"value"` // what holds now; null after an error
}

// ParseCommand takes {"id":"x","value":…} or a bare value apart; a word without
// quotes is a string.
func ParseCommand(payload []byte) (id *string, value json.RawMessage, err error) {
	if len(payload) > maxCommand {
		return nil, nil, fmt.Errorf("payload of %d bytes: at most %d", len(payload), maxCommand)
	}
	payload = bytes.TrimSpace(payload)
	switch {
	case len(payload) == 0:
		return nil, nil, errors.New("empty payload: want a value")
	case payload[0] != '{' && json.Valid(payload):
		return nil, oneLine(payload), nil
	case payload[0] != '{':
		return nil, Encode(string(payload)), nil
	}
	var full struct {
		ID    *string         `json:"id"`
		Value json.RawMessage `json:"value"`
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&full); err != nil || decoder.More() {
		return nil, nil, errors.New(`payload is not {"id":"x","value":…}`)
	}
	if full.Value == nil {
		return full.ID, nil, errors.New(`payload has no "value"`)
	}
	return full.ID, oneLine(full.Value), nil
}

// oneLine is a valid value without white space, as errors repeat it.
func oneLine(value json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	json.Compact(&b, value) // it is valid
	return b.Bytes()
}
