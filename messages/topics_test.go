package messages

import "testing"

func TestOwnedTopics(t *testing.T) {
	box := NewTopics("dynvit", "box")
	for topic, want := range map[string]bool{
		"dynvit/box/status":                      true,
		"dynvit/box/camera/door/event":           true,
		"dynvit/box/cmd/keep/result":             true,
		"dynvit/box/cmd/keep":                    false,
		"dynvit/box/cmd/camera/door/enabled":     false,
		"dynvit/box2/status":                     false,
		"homeassistant/sensor/dynvit_box/config": false,
	} {
		if got := box.Owned(topic); got != want {
			t.Errorf("%s is the daemon's own: %v, want %v", topic, got, want)
		}
	}
}
