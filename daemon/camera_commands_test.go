package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"image/jpeg"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/capture"
	"dynvit/config"
	"dynvit/enabled"
	"dynvit/messages"
	"dynvit/preprocess"
)

// answered is the last answer to a command.
func (r *rig) answered(command string) (a answer) {
	r.t.Helper()
	list := r.broker.State().Topic(root + "/cmd/" + command + "/result")
	if len(list) == 0 {
		r.t.Fatalf("no answer to %s", command)
	}
	if err := json.Unmarshal([]byte(list[len(list)-1]), &a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// wants holds an answer to what it should be: says is part of the error, "" none.
func (a answer) wants(t *testing.T, what, says string) {
	t.Helper()
	if a.OK != (says == "") || a.OK && a.Error != nil || !a.OK && (a.Error == nil || !strings.Contains(*a.Error, says)) {
		text := "none"
		if a.Error != nil {
			text = *a.Error
		}
		t.Errorf("%s: ok %v, error %s; want %q", what, a.OK, text, says)
	}
}

// TestEnabled: a camera that is switched off is closed and not looked at; switched
// on again it is opened anew. What is malformed changes nothing.
func TestEnabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newScripted(100*time.Millisecond, nil, shots(1, 3000)...), newScripted(100*time.Millisecond, nil, shots(2, 3000)...)
		c := withCamera(testConfig(), "off", func(c *config.Camera) { c.Enabled = false })
		s := sources{"test:": {first, second}, "http://off/": {newScripted(100*time.Millisecond, nil, shots(3, 3000)...)}}
		r := run(t, c, s, nil)
		after(time.Second)
		settings := func(door, off string) {
			t.Helper()
			want := `"cameras":{"door":{"enabled":` + door + `},"off":{"enabled":` + off + `}}`
			if got := r.broker.State().Retained[root+"/settings"]; !strings.Contains(got, want) {
				t.Errorf("settings %s, want %s", got, want)
			}
		}
		status := func(camera, want string) {
			t.Helper()
			if got := strings.Join(r.broker.State().Topic(root+"/camera/"+camera+"/status"), " "); got != want {
				t.Errorf("%s: status %s, want %s", camera, got, want)
			}
		}
		settings("true", "false")
		for _, c := range []struct {
			command, payload, says string
			door, off              string
		}{
			{"camera/door/enabled", `maybe`, "want true or false", "true", "false"},
			{"camera/door/enabled", `0`, "want true or false", "true", "false"},
			{"camera/door/enabled", `null`, "want true or false", "true", "false"},
			{"camera/door/enabled", ``, "empty payload", "true", "false"},
			{"camera/door/enabled", `{"id":"x"}`, `no "value"`, "true", "false"},
			{"camera/yard/enabled", `false`, "no such camera", "true", "false"},
			{"camera/door/enabled", `false`, "", "false", "false"},
			{"camera/door/enabled", `{"id":"again","value":false}`, "", "false", "false"},
			{"camera/off/enabled", `true`, "", "false", "true"},
		} {
			r.commands.obey(t.Context(), c.command, []byte(c.payload), false)
			after(time.Second)
			r.answered(c.command).wants(t, c.command+" "+c.payload, c.says)
			settings(c.door, c.off)
		}
		select {
		case <-first.closed:
		default:
			t.Error("the source of a camera that is off is open")
		}
		status("off", "disabled offline online")
		before := r.all()[0].counts.looked.Load()
		after(time.Hour)
		status("door", "offline online disabled")
		if n := r.all()[0].counts.looked.Load(); n != before {
			t.Errorf("%d frames looked at of a camera that is off", n-before)
		}
		// Retained, and with a name that no camera can have.
		r.commands.obey(t.Context(), "camera/door/enabled", []byte("true"), true)
		r.commands.obey(t.Context(), "camera/Do or/enabled", []byte("true"), false)
		r.commands.obey(t.Context(), "camera/enabled", []byte("true"), false)
		after(time.Second)
		settings("false", "true")
		r.commands.obey(t.Context(), "camera/door/enabled", []byte("true"), false)
		after(time.Second)
		settings("true", "true")
		status("door", "offline online disabled offline online")
		if r.all()[0].counts.looked.Load() == before {
			t.Error("a camera that is on again is not looked at")
		}
		r.halt()
		status("door", "offline online disabled offline online offline")
	})
}

// TestEnabledWhileStalledAndAway: the switch also works on a camera that hangs, or
// waits to be opened again, and a disabled one is nothing to wait for at the end.
func TestEnabledWhileStalledAndAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(testConfig(), "gone", nil)
		s := sources{"test:": {newScripted(0, nil)}, "http://gone/": {errors.New("no such device")}}
		r := run(t, c, s, nil)
		after(30 * time.Second)
		for _, name := range []string{"door", "gone"} {
			r.commands.obey(t.Context(), "camera/"+name+"/enabled", []byte("false"), false)
		}
		after(time.Hour)
		for name, want := range map[string]string{"door": "offline stalled disabled", "gone": "offline disabled"} {
			if got := strings.Join(r.broker.State().Topic(root+"/camera/"+name+"/status"), " "); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if h := r.condition.health(); !h.Alive || h.Cameras["door"].Reason != "by command" {
			t.Errorf("%+v", h)
		}
		r.halt()
		if got := r.broker.State().Topic(root + "/camera/door/status"); got[len(got)-1] != "disabled" {
			t.Errorf("at the end the camera is %s", got)
		}
	})
}

// TestEndedIsShownAgain: a source that has ended is opened anew by off and on, and
// meanwhile a daemon of the command line has not ended, as another camera lives.
func TestEndedIsShownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(testConfig(), "yard", nil)
		s := sources{
			"test:":        {newScripted(time.Second, io.EOF, shots(1, 3)...), newScripted(time.Second, io.EOF, shots(1, 4)...)},
			"http://yard/": {newScripted(time.Second, io.EOF, shots(1, 100)...)},
		}
		r := run(t, c, s, func(_ *rig, d *Deps) { d.NoFile = true })
		after(10 * time.Second)
		for _, value := range []string{"false", "true"} {
			r.commands.obey(t.Context(), "camera/door/enabled", []byte(value), false)
			after(10 * time.Second)
		}
		if n := r.all()[0].counts.looked.Load(); n != 7 {
			t.Errorf("%d frames", n)
		}
		if err := r.ended(); err != nil {
			t.Error(err)
		}
	})
}

// pictured is a frame of 8×8 that the fake classifier takes for a class.
func pictured(class byte) camera.Frame {
	f := cameratest.Grey(8, 8, 90)
	f.Data[0] = class
	return f
}

// TestSnapshots: at each change and on command, as JPEG, retained.
func TestSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := cameratest.New()
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Publish.Snapshot, c.Stable = true, 1 })
		c = withCamera(c, "off", func(c *config.Camera) { c.Enabled = false })
		r := run(t, c, sources{"http://door/": {source}}, nil)
		topic := root + "/camera/door/snapshot"
		count := func(want int) {
			t.Helper()
			after(time.Second)
			if n := len(r.broker.State().Topic(topic)); n != want {
				t.Errorf("%d snapshots, want %d", n, want)
			}
		}
		source.Push(pictured(1))
		count(1)
		source.Push(pictured(1))
		count(1)
		source.Push(pictured(2))
		count(2)
		for _, c := range []struct{ payload, says string }{
			{`yard`, "no such camera"},
			{`7`, "want the name of a camera"},
			{`{"value":["door"]}`, "want the name of a camera"},
			{`off`, "camera off is disabled"},
		} {
			r.commands.obey(t.Context(), "snapshot", []byte(c.payload), false)
			after(time.Second)
			r.answered("snapshot").wants(t, c.payload, c.says)
		}
		count(2)

		done := make(chan struct{})
		go func() {
			defer close(done)
			r.commands.obey(t.Context(), "snapshot", []byte(`{"id":"s","value":"door"}`), false)
		}()
		count(2) // it waits for a frame
		source.Push(pictured(2))
		<-done
		count(3)
		r.answered("snapshot").wants(t, "door", "")
		// A frame that does not come.
		start := time.Now()
		r.commands.obey(t.Context(), "snapshot", []byte("door"), false)
		after(time.Second)
		r.answered("snapshot").wants(t, "door without frames", "no frame in 10s")
		if took := time.Since(start); took > 12*time.Second {
			t.Errorf("took %v", took)
		}
		source.Push(pictured(2)) // nobody waits for it any more
		count(3)
		r.halt()
		for _, m := range r.broker.State().Messages {
			if m.Topic != topic {
				continue
			}
			img, err := jpeg.Decode(strings.NewReader(m.Payload))
			if err != nil || img.Bounds().Dx() != 8 || !m.Retain || m.QoS != 0 {
				t.Errorf("%d bytes, %v; retain %v, QoS %d", len(m.Payload), err, m.Retain, m.QoS)
			}
		}
	})
}

// TestSnapshotOfJPEGIsTheCameras to the byte, and one too large is not published.
func TestSnapshotOfJPEGIsTheCameras(t *testing.T) {
	var s snapshots
	data := bytes.Repeat([]byte{0xff, 0xd8, 7}, 1000)
	got, err := s.of(&camera.Frame{Format: camera.JPEG, Data: data})
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := s.of(&camera.Frame{Format: camera.JPEG, Data: make([]byte, maxSnapshot+1)}); err == nil {
		t.Error("no error for a large one")
	}
	if _, err := s.of(&camera.Frame{Format: camera.YUYV, Width: 1000, Height: 1000}); err == nil {
		t.Error("no error for one without data")
	}
}

// TestMotion: a still scene is looked at once a heartbeat, a change at once and
// until its label holds.
func TestMotion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The fake classifier reads the first bytes; the gate sees the whole.
		frame := func(class, rest byte) camera.Frame {
			f := cameratest.Grey(64, 36, rest)
			f.Data[0], f.Data[1] = class, 90
			return f
		}
		source := cameratest.New()
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Motion, c.Heartbeat = 0.02, 30*time.Second })
		r := run(t, c, sources{"http://door/": {source}}, nil)
		u := func() *feed { return r.all()[0] }
		show := func(n int, f camera.Frame) {
			for range n {
				source.Push(f)
				after(time.Second / 5)
			}
		}
		expect := func(what string, looked, still uint64) {
			t.Helper()
			if l, s := u().counts.looked.Load(), u().counts.still.Load(); l != looked || s != still {
				t.Errorf("%s: %d looked at, %d still; want %d, %d", what, l, s, looked, still)
			}
		}
		after(time.Second)
		show(10, frame(1, 100))
		expect("until the label holds", 3, 7)
		show(10, frame(1, 105))
		expect("a little lighter", 3, 17)
		show(10, frame(2, 120))
		expect("a change, until its label holds", 6, 24)
		show(10, frame(3, 125)) // the label changed, but nothing is to be seen of it
		expect("no motion", 6, 34)
		show(150, frame(3, 125)) // 30 s
		if l := u().counts.looked.Load(); l < 7 || l > 10 {
			t.Errorf("%d looked at: a heartbeat lets one in, and two more that its label holds", l)
		}
		if d := r.all()[0].counts.drops(); d.Still == 0 || d.Total() != d.Still {
			t.Errorf("drops %+v", d)
		}
		r.halt()
		labels := r.list("/camera/door/event", "label")
		if !slices.Equal(strings.Fields(strings.ReplaceAll(labels, `a "quoted" owl`, "owl")), []string{"dog", "owl", "fox"}) {
			t.Errorf("events %s", labels)
		}
	})
}

// TestMotionLetsInWhatItCannotSee: a damaged picture is for the model to refuse.
func TestMotionLetsInWhatItCannotSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Motion = 0.02 })
		list := append(shots(1, 5), make([]shot, 5)...)
		r := run(t, c, sources{"http://door/": {newScripted(100*time.Millisecond, nil, list...)}}, nil)
		after(5 * time.Second)
		r.halt()
		if d := r.all()[0].counts.drops(); d.Failed != 5 {
			t.Errorf("%+v", d)
		}
	})
}

// FuzzEnabled: only true and false switch a camera, and only the one named.
func FuzzEnabled(f *testing.F) {
	for _, s := range []string{`true`, `false`, `{"id":"x","value":false}`, `"true"`, `null`, `{"value":null}`, `{"value":true}{}`, `[false]`, "\xfffalse"} {
		f.Add("camera/door/enabled", []byte(s))
	}
	f.Add("camera/../enabled", []byte("false"))
	f.Add("camera//enabled", []byte("false"))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		c := &commands{roster: new(roster)}
		c.roster.set(feeds{{name: "door", enabled: enabled.New(true, "")}, {name: "yard", enabled: enabled.New(true, "")}})
		c.out = &announcer{out: new(lastMessage), settings: func() messages.Settings { return messages.Settings{} }}
		do := c.named(name)
		if do == nil || !strings.HasPrefix(name, "camera/") {
			return
		}
		_, value, err := messages.ParseCommand(payload)
		if err != nil {
			return
		}
		got, err := do(t.Context(), value)
		if err != nil && (got != nil || strings.ContainsAny(err.Error(), "\n")) {
			t.Errorf("%s %q: %v, %v", name, payload, got, err)
		}
		for _, u := range c.roster.all() {
			off := !u.enabled.IsOn()
			if wanted := name == "camera/"+u.name+"/enabled" && strings.TrimSpace(string(value)) == "false"; off != wanted {
				t.Errorf("%s %q: %s is off: %v", name, payload, u.name, off)
			}
		}
	})
}

// TestCapture: frames are kept in a folder by camera and label, in the pace that is asked
// for, until there are enough or a command ends it; what names anything else is refused.
func TestCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := t.TempDir()
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Region = preprocess.Region{X0: 0, Y0: 0, X1: 0.5, Y1: 1} })
		s := sources{"http://door/": {newScripted(100*time.Millisecond, nil, shots(1, 3000)...)}}
		r := run(t, c, s, func(_ *rig, d *Deps) { d.State = state })
		after(time.Second)
		for _, c := range []struct{ payload, says string }{
			{`"../x"`, "label"}, {`a/b`, "label"}, {`7`, "want a label"}, {`null`, "want a label"}, {`{"value":{"label":"x","count":0}}`, "count"}, {`{"label":"x"}`, "payload is not"}, {``, "empty payload"},
		} {
			r.order(t, "camera/door/capture", c.payload)
			after(100 * time.Millisecond)
			r.answered("camera/door/capture").wants(t, c.payload, c.says)
		}
		r.order(t, "camera/yard/capture", `open`)
		after(100 * time.Millisecond)
		r.answered("camera/yard/capture").wants(t, "another camera", "no such camera")

		r.order(t, "camera/door/capture", `{"id":"x","value":{"label":"open","count":3,"every":"2s"}}`)
		after(100 * time.Millisecond)
		a := r.answered("camera/door/capture")
		a.wants(t, "open", "")
		folder := capture.New(filepath.Join(state, "teach"), capture.MostBytes)
		for _, want := range []struct {
			seconds time.Duration
			n       int
		}{{1, 1}, {2, 2}, {60, 3}} {
			after(want.seconds * time.Second)
			list, labels, err := folder.List("door")
			if err != nil || len(list) != want.n || !slices.Equal(labels, []string{"open"}) {
				t.Errorf("after %d s more: %v %v, %v", want.seconds, list, labels, err)
			}
		}
		list, _, err := folder.List("door")
		if err != nil {
			t.Fatal(err)
		}
		data, err := folder.Read(list[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jpeg.DecodeConfig(bytes.NewReader(data)); err != nil {
			t.Error(err)
		}
		r.order(t, "camera/door/capture", `{"value":{"label":"shut","count":100,"every":"1s"}}`)
		after(5 * time.Second)
		r.order(t, "camera/door/capture", `false`)
		after(time.Second)
		r.answered("camera/door/capture").wants(t, "false", "")
		before, _, _ := folder.List("door")
		after(time.Minute)
		list, _, err = folder.List("door")
		if err != nil || len(list) != len(before) || len(list) < 3+4 || len(list) > 3+7 {
			t.Errorf("%d pictures, then %d, %v", len(before), len(list), err)
		}
		r.halt()
	})
}

// TestCaptureNowhere: without a folder for what lasts a capture is refused.
func TestCaptureNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, testConfig(), sources{"test:": {newScripted(100*time.Millisecond, nil, shots(1, 3000)...)}}, nil)
		after(time.Second)
		r.order(t, "camera/door/capture", `open`)
		after(100 * time.Millisecond)
		r.answered("camera/door/capture").wants(t, "open", "STATE_DIRECTORY")
		r.halt()
	})
}

// order publishes a command.
func (r *rig) order(t *testing.T, command, payload string) {
	t.Helper()
	if err := r.broker.Send(root+"/cmd/"+command, payload, false); err != nil {
		t.Fatal(err)
	}
}
