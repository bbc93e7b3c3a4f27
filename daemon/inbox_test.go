package daemon

import (
	"slices"
	"testing"

	"dynvit/messages"
	"dynvit/presence"
)

func TestFilters(t *testing.T) {
	commands := []string{"dynvit/box/cmd/+", "dynvit/box/cmd/camera/+/enabled", "dynvit/box/cmd/camera/+/capture", "dynvit/box/status"}
	for _, c := range []struct {
		commands  bool
		discovery string
		want      []string
	}{
		{true, "homeassistant", append(commands, "homeassistant/status")},
		{true, "", commands},
		{false, "homeassistant", append(commands, "homeassistant/status")}, // to say that commands are off
		{false, "", nil},
	} {
		if got := newInbox(messages.NewTopics("dynvit", "box"), c.discovery, presence.New(messages.NewTopics("dynvit", "box").Status, nil)).filters(c.commands); !slices.Equal(got, c.want) {
			t.Errorf("commands %v, discovery %q: %q, want %q", c.commands, c.discovery, got, c.want)
		}
	}
}
