package retained

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/homeassistant"
	"dynvit/mqtt"
)

// heard is what was published, a word a message: the topic, with a - where it was
// taken back.
type heard []string

func (h *heard) Publish(m mqtt.Message) error {
	word := m.Topic
	if len(m.Payload) == 0 {
		word = "-" + word
	}
	*h = append(*h, word)
	return nil
}

// said is what was published since it was last asked.
func (h *heard) said() string {
	text := strings.Join(*h, " ")
	*h = nil
	return text
}

func announcements(topics ...string) (list []homeassistant.Announcement) {
	for _, t := range topics {
		list = append(list, homeassistant.Announcement{Topic: t, Payload: []byte("v1")})
	}
	return list
}

// TestRetained follows a node through reloads, a crash, an orderly end and another
// name.
func TestRetained(t *testing.T) {
	dir, out := t.TempDir(), new(heard)
	open := func(node string) *Retained {
		return New(Owner{dir, node, "/etc/dynvit.yaml"}, out, slog.New(slog.DiscardHandler))
	}
	want := func(what, want string) {
		t.Helper()
		if got := out.said(); got != want {
			t.Errorf("%s: published %q, want %q", what, got, want)
		}
	}
	stand := func(r *Retained, left bool, list []homeassistant.Announcement, topics ...string) {
		t.Helper()
		if got := r.Stand(list, topics); got != left {
			t.Errorf("left %v, want %v", got, left)
		}
	}
	r := open("box")
	stand(r, false, announcements("ha/box/config", "ha/door/config"), "box/status", "box/door")
	want("start", "ha/box/config ha/door/config")
	changed := announcements("ha/box/config")
	changed[0].Payload = []byte("v2")
	stand(r, true, changed, "box/status")
	want("a camera less", "-ha/door/config ha/box/config")
	r.Clear()
	want("then", "-box/door")
	r.Clear()
	stand(r, false, changed, "box/status")
	want("the same again", "")
	stand(r, false, append(slices.Clone(changed), announcements("ha/door/config")...), "box/status", "box/door")
	want("the camera is back", "ha/door/config")
	stand(r, true, changed, "box/status")
	stand(r, false, append(slices.Clone(changed), announcements("ha/door/config")...), "box/status", "box/door")
	want("gone for a moment", "-ha/door/config ha/door/config")
	r.Clear()
	want("and not cleared", "")
	r.Announce()
	want("birth", "ha/box/config ha/door/config")

	r = open("box") // after a crash
	stand(r, true, announcements("ha/box/config"), "box/status")
	want("a camera less after a crash", "-ha/door/config ha/box/config")
	r.Settled() // the end came before Clear
	r = open("box")
	stand(r, true, announcements("ha/box/config"), "box/status")
	want("an end before it was cleared", "ha/box/config")
	r.Clear()
	want("cleared by the next", "-box/door")
	r.Settled()
	r = open("box")
	stand(r, false, announcements("ha/box/config"), "box/status")
	want("settled", "ha/box/config")
	r.Settled()

	r = open("porch")
	stand(r, true, announcements("ha/porch/config"), "porch/status")
	want("another name", "-ha/box/config ha/porch/config")
	r.Clear()
	want("and its topics", "-box/status")
	r.Settled()
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("files %q, %v", left, err)
	}
	other := New(Owner{dir, "other", "/etc/other.yaml"}, out, slog.New(slog.DiscardHandler))
	stand(other, false, nil, "other/status")
	other.Settled()
	unnamed := New(Owner{dir, "third", ""}, out, slog.New(slog.DiscardHandler))
	stand(unnamed, false, nil, "third/status")
	want("nodes that share a folder", "")
}

// TestOlderFiles: a list of announcements, as version 0.1 wrote, is known; a
// damaged file costs a line.
func TestOlderFiles(t *testing.T) {
	for text, want := range map[string]string{
		`["homeassistant/device/x/config","other/topic"]`:             "-homeassistant/device/x/config",
		`{"configuration":"","topics":["dynvit/box/camera/x/state"]}`: "-dynvit/box/camera/x/state",
		`{"configuration":"","topics":["#","","a/+/config"]}`:         "",
		`{`:    "",
		`null`: "",
	} {
		dir, out := t.TempDir(), new(heard)
		if err := os.WriteFile(filepath.Join(dir, "box.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r := New(Owner{Folder: dir, Node: "box"}, out, slog.New(slog.DiscardHandler))
		r.Stand(nil, []string{"box/status"})
		r.Clear()
		if got := out.said(); got != want {
			t.Errorf("%s: published %q, want %q", text, got, want)
		}
	}
}
