package browser

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestLook: the page shows its cameras in every theme and on every screen, is clean by
// axe-core, does not jump, runs past no edge, and asks nobody but the daemon.
func TestLook(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	for _, s := range sights() {
		tab.as(s)
		tab.open(box.url())
		tab.pictured("door")
		tab.pictured("yard")
		get[bool](tab, "(scrollTo(0, 0), true)")
		tab.text("[data-camera=attic] .pill", "Offline")
		tab.text("[data-camera=attic] .why", "connection refused")
		tab.await(`/\d/.test(document.querySelector(".readings dd").textContent)`)
		tab.await(`document.querySelectorAll(".stages input").length === 5`)
		if wide := get[int](tab, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
			t.Errorf("%s: %d pixels too wide", s.name, wide)
		}
		if jump := tab.jump(); jump > 0.01 {
			t.Errorf("%s: the layout jumps by %.3f", s.name, jump)
		}
		for _, complaint := range tab.axe() {
			t.Errorf("%s: %s", s.name, complaint)
		}
		tab.shoot(s.name)
	}
	for _, url := range tab.asked {
		if !strings.HasPrefix(url, box.url()+"/") && !strings.HasPrefix(url, "blob:") {
			t.Errorf("asked for %s", url)
		}
	}
	if len(tab.asked) < 20 {
		t.Errorf("only %d requests seen: the test looks at nothing", len(tab.asked))
	}
}

// settings are what the daemon says holds.
func (b *box) settings() (s struct {
	Auto    bool                              `json:"auto"`
	Keep    float64                           `json:"keep"`
	Budget  float64                           `json:"budget_ms"`
	Cameras map[string]struct{ Enabled bool } `json:"cameras"`
}) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.event("settings")), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// press sends keys to an element that is focused first, as who has no mouse does.
func (b *tab) press(selector, keys string) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent(keys))
}

// enter writes over what a field holds.
func (b *tab) enter(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(selector)))
	get[bool](b, "(document.activeElement.select(), true)")
	b.do(chromedp.KeyEvent(text + "\r"))
}

// TestControls: nothing can be changed without the token, a wrong one is told, and with
// it every control does what it says, by mouse or keyboard.
func TestControls(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	tab.open(box.url())
	// Budget and its slider, keep, auto, recalibrate, and three cameras.
	tab.await(`document.querySelectorAll("main :is(input:not([name=stage]), button):disabled").length === 8`)
	tab.do(chromedp.Click(chromedp.CSS("#key")), chromedp.SendKeys(chromedp.CSS("#token"), "correct-horse-bakery\r"))
	tab.text("#unlock-wrong", "not the token")
	for _, complaint := range tab.axe() {
		t.Errorf("the dialog: %s", complaint)
	}
	tab.shoot("unlock")
	tab.press("#token", kb.Escape)
	tab.await(`!document.querySelector("#unlock").open && document.activeElement.id === "key"`)
	tab.unlock()

	tab.enter("#budget", "120")
	tab.until(func() bool { return box.settings().Budget == 120 }, "120 ms by the field")
	tab.await(`document.querySelector("#budget-range").value === "693"`)
	tab.press("#budget-range", kb.ArrowLeft)
	tab.await(`document.querySelector("#budget").value === "119"`)
	tab.until(func() bool { return box.settings().Budget == 119 }, "119 ms by the slider")
	tab.enter("#budget", "0")
	if ok := get[bool](tab, `document.querySelector("#budget").checkValidity()`); ok {
		t.Error("a budget of nothing passes")
	}
	if now := box.settings().Budget; now != 119 {
		t.Errorf("the budget is %v after one that is none", now)
	}

	before := box.settings().Keep // on a busy machine that of a calibration is the largest: no slider goes on from there
	tab.press("#keep", kb.ArrowLeft)
	tab.until(func() bool { s := box.settings(); return !s.Auto && s.Keep != before }, "another keep ratio, fixed")
	tab.await(`document.querySelector("#auto").ariaChecked === "false"`)
	tab.press("#auto", " ")
	tab.until(func() bool { return box.settings().Auto }, "auto")
	tab.await(`document.querySelector("#auto").ariaChecked === "true"`)
	tab.do(chromedp.Click(chromedp.CSS("#auto")))
	tab.until(func() bool { return !box.settings().Auto }, "hold")

	tab.do(chromedp.Click(chromedp.CSS("[data-camera=door] [role=switch]")))
	tab.text("[data-camera=door] .pill", "Off")
	if box.settings().Cameras["door"].Enabled {
		t.Error("the camera is still on")
	}
	tab.do(chromedp.Click(chromedp.CSS("[data-camera=door] [role=switch]")))
	tab.text("[data-camera=door] .pill", "Online")
	tab.pictured("door")

	tab.until(func() bool { return box.logged("calibrated") }, "the first calibration has ended")
	get[bool](tab, `(window.seen = [], new MutationObserver(() => window.seen.push(document.querySelector("#recalibrate").textContent, document.querySelector("#toasts").textContent))
		.observe(document.body, {subtree: true, childList: true, characterData: true}), true)`)
	tab.do(chromedp.Click(chromedp.CSS("#recalibrate")))
	tab.await(`window.seen.some((s) => s.startsWith("Measuring")) && window.seen.some((s) => s.includes("Recalibrated."))`)
	tab.await(`document.querySelector("#recalibrate").textContent === "Recalibrate" && !document.querySelector("#recalibrate").disabled`)

	for _, view := range []string{"0", "1", "2", "3", "all"} {
		tab.press(fmt.Sprintf("input[name=stage][value='%s']", view), " ")
		tab.await(fmt.Sprintf(`document.querySelector("input[name=stage]:checked").value === %q`, view))
		tab.pictured("door")
		bright := get[float64](tab, `(() => { const c = document.querySelector("[data-camera=door] canvas"), d = c.getContext("2d").getImageData(0, 0, 448, 448).data;
			let sum = 0; for (let i = 0; i < d.length; i += 4) sum += d[i] + d[i + 1] + d[i + 2]; return sum / d.length })()`)
		t.Logf("view %s: mean brightness %.0f", view, bright)
		if view == "0" && bright < 60 || view == "3" && bright > 90 {
			t.Errorf("view %s: mean brightness %.0f", view, bright)
		}
	}

	tab.do(chromedp.Click(chromedp.CSS("[data-camera=door] summary")))
	tab.await(`document.querySelectorAll("[data-camera=door] details tr").length === 11`)
	tab.do(chromedp.Click(chromedp.CSS("#key")))
	tab.await(`document.querySelector("#keep").disabled`)
	if kept := get[int](tab, "sessionStorage.length + localStorage.length"); kept != 0 {
		t.Errorf("%d things are kept after locking", kept)
	}
}

// TestGroups: where patches are merged those of a group have one colour after a stage, more of them
// after each, and the picture alone has none.
func TestGroups(t *testing.T) {
	t.Setenv("DYNVIT_SCORER", "merge")
	box, tab := start(t, "DOOR_SOURCE=test:?fps=2&size=640x480"), newTab(t)
	tab.open(box.url())
	tab.unlock()
	get[bool](tab, `(document.querySelector("#keep").value = 50, document.querySelector("#keep").dispatchEvent(new Event("change")), true)`)
	tab.until(func() bool { s := box.settings(); return !s.Auto && s.Keep == 0.5 }, "keep 0.5")
	// flat is how many of 196 patches have one colour, in their middle.
	const flat = `(() => { const cell = 32, d = document.querySelector("[data-camera=door] canvas").getContext("2d").getImageData(0, 0, 448, 448).data;
		const same = (a, b) => [0, 1, 2].every((of) => d[a + of] === d[b + of]);
		let n = 0;
		for (let p = 0; p < 196; p++) {
			const at = (x, y) => 4 * ((Math.floor(p / 14) * cell + y) * 448 + p % 14 * cell + x);
			let is = true;
			for (let i = 6; i < 26; i++) for (let j = 6; j < 26; j++) is &&= same(at(i, j), at(6, 6));
			n += is;
		}
		return n })()`
	found := map[string]int{}
	for _, view := range []string{"0", "1", "3", "all"} {
		tab.press(fmt.Sprintf("input[name=stage][value='%s']", view), " ")
		tab.pictured("door")
		found[view] = get[int](tab, flat)
		get[bool](tab, "(scrollTo(0, 0), true)")
		tab.shoot("groups-" + view)
	}
	t.Logf("patches of one colour: %v", found)
	if found["1"] < 90 || found["3"] < 90 || found["all"] < 90 || found["0"] > 60 {
		t.Errorf("patches of one colour: %v", found)
	}
}

// TestKeyboard: by the tabulator alone every control is reached, and seen to be.
func TestKeyboard(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	tab.open(box.url())
	tab.unlock()
	tab.do(chromedp.Reload())
	tab.live()
	tab.await(`!document.querySelector("#keep").disabled && document.querySelectorAll(".camera, .stages input").length === 8`)
	var seen []string
	for range 40 {
		tab.do(chromedp.KeyEvent(kb.Tab))
		at := get[string](tab, `(() => { const e = document.activeElement, r = getComputedStyle(e.name === "stage" ? e.nextElementSibling : e);
			return e === document.body ? "" : [e.id || e.name || e.getAttribute("aria-label") || e.className || e.tagName, r.outlineStyle].join(" ") })()`)
		if at == "" {
			break
		}
		if strings.HasSuffix(at, " none") {
			t.Errorf("%s has the focus and does not show it", at)
		}
		name, _, _ := strings.Cut(at, " ")
		seen = append(seen, name)
	}
	all := strings.Join(seen, " ")
	for _, want := range []string{"skip", "language", "key", "budget", "budget-range", "auto", "keep", "recalibrate", "stage", "Camera", "SUMMARY"} {
		if !strings.Contains(" "+all+" ", " "+want+" ") {
			t.Errorf("%s is not reached: %s", want, all)
		}
	}
}

// TestLanguage: another language is spoken throughout, and the next time, too.
func TestLanguage(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	tab.as(sights()[2])
	tab.open(box.url())
	tab.pictured("door")
	tab.do(chromedp.SetValue(chromedp.CSS("#language"), "de"))
	get[bool](tab, `document.querySelector("#language").dispatchEvent(new Event("change"))`)
	tab.text("#controls-title", "Einstellungen")
	tab.do(chromedp.Reload())
	tab.live()
	tab.pictured("door")
	tab.text("#controls-title", "Einstellungen")
	tab.text("[data-camera=door] dt", "Ganzes Bild")
	if lang := get[string](tab, "document.documentElement.lang"); lang != "de" {
		t.Errorf("the page says that it is in %q", lang)
	}
	if wide := get[int](tab, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
		t.Errorf("%d pixels too wide", wide)
	}
	for _, complaint := range tab.axe() {
		t.Error(complaint)
	}
	tab.shoot("phone-german")
}

// TestBroken: a stream that breaks, or goes silent, is opened again, and one that the
// browser itself has lost.
func TestBroken(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	tab.open(box.url())
	tab.pictured("door")
	get[bool](tab, `new MutationObserver(() => (window.states ??= []).push(document.querySelector("#link").dataset.state))
		.observe(document.querySelector("#link"), {attributes: true}) ?? true`)
	again := func(what string) {
		t.Helper()
		tab.await(`window.states?.includes("again")`)
		tab.live()
		tab.pictured("door")
		get[bool](tab, "(window.states = []) && true")
		t.Logf("after %s it is live again", what)
	}
	for range 3 {
		box.cut()
		again("a cut")
	}
	box.stalled.Store(true)
	tab.await(`window.states?.includes("again")`)
	box.stalled.Store(false)
	again("silence")
	offline := network.OverrideNetworkStateParams{Offline: true, DownloadThroughput: -1, UploadThroughput: -1}
	must(tab, network.OverrideNetworkState, offline)
	box.cut()
	tab.await(`window.states?.includes("again")`)
	offline.Offline = false
	must(tab, network.OverrideNetworkState, offline)
	again("no network")
}

// TestRestart: a daemon that is started anew is found again, by the token that the page
// has, and what it says is believed.
func TestRestart(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	tab.open(box.url())
	tab.unlock()
	tab.pictured("door")
	boot := box.event("info")
	box.stop()
	tab.await(`document.querySelector("#link").dataset.state === "again"`)
	tab.shoot("reconnecting")
	box.run()
	tab.live()
	tab.pictured("door")
	if box.event("info") == boot {
		t.Fatal("the daemon was not started anew")
	}
	tab.await(`!document.querySelector("#keep").disabled`)
	tab.press("#keep", kb.ArrowRight)
	tab.until(func() bool { return !box.settings().Auto }, "a fixed keep ratio")
}

// TestSlowPhone: on a slow line the page stays live and shows newest pictures, as many
// as the line carries; nothing piles up.
func TestSlowPhone(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	tab.as(sights()[2])
	must(tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{
		{Latency: 400, DownloadThroughput: 30_000, UploadThroughput: 10_000},
	}})
	tab.open(box.url())
	for range 4 {
		tab.pictured("door")
	}
	tab.pictured("yard")
	behind := get[int](tab, `fetch("/page/camera/yard/picture").then((r) => Number(r.headers.get("Dynvit-Seq")) - Number(document.querySelector("[data-camera=yard]").dataset.seq))`)
	t.Logf("%d frames behind", behind)
	if behind > 100 {
		t.Errorf("%d frames behind: they pile up", behind)
	}
	tab.mu.Lock()
	defer tab.mu.Unlock()
	if tab.most > len(cameras()) {
		t.Errorf("%d pictures asked for at once", tab.most)
	}
}

// TestFlood: a hundred events a second are taken without the page growing or being
// late, and controls answer meanwhile.
func TestFlood(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	var frame map[string]any
	if err := json.Unmarshal([]byte(box.event("frame")), &frame); err != nil {
		t.Fatal(err)
	}
	info, settings, health := box.event("info"), box.event("settings"), box.event("health")
	const events = 1000
	url := box.behind(t, nil, map[string]http.HandlerFunc{"/page/events": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "event: info\ndata: %s\n\nevent: settings\ndata: %s\n\nevent: health\ndata: %s\n\n", info, settings, health)
		for _, camera := range []string{"door", "yard"} {
			fmt.Fprintf(w, "event: history\ndata: %s\n\n", anHour(camera))
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := range events {
			<-tick.C
			frame["camera"], frame["label"], frame["seq"] = []string{"door", "yard"}[i%2], fmt.Sprintf("label %d", i), i
			data, _ := json.Marshal(frame)
			fmt.Fprintf(w, "event: frame\ndata: %s\n\n", data)
			if http.NewResponseController(w).Flush() != nil {
				return
			}
		}
		<-r.Context().Done()
	}})
	tab.open(url)
	tab.await(`document.querySelector("[data-camera=yard] .label")?.textContent > "label 1"`)
	size := get[int](tab, "document.querySelectorAll('*').length")
	for _, view := range []string{"1", "0", "2", "all"} {
		tab.do(chromedp.Click(chromedp.CSS(fmt.Sprintf("label:has([name=stage][value='%s'])", view))))
		tab.await(fmt.Sprintf(`document.querySelector("input[name=stage]:checked").value === %q`, view))
	}
	tab.text("[data-camera=yard] .label", fmt.Sprintf("label %d", events-1))
	tab.text("[data-camera=door] .label", fmt.Sprintf("label %d", events-2))
	tab.text("[data-camera=door] .legend", "church 30 min")
	tab.pictured("door")
	tab.shoot("hour")
	if now := get[int](tab, "document.querySelectorAll('*').length"); now > size+20 {
		t.Errorf("the page has grown from %d elements to %d", size, now)
	}
}

// anHour is a camera's whole history: half of it a church, then nothing, then golf balls,
// with times that grow past the budget.
func anHour(camera string) []byte {
	at, label, score, low, high := make([]int, 360), make([]int, 360), make([]float64, 360), make([]float64, 360), make([]float64, 360)
	for i := range at {
		at[i], score[i] = 1000+i, 0.75+0.2*math.Sin(float64(i)/9)
		low[i] = 12 + 4*math.Sin(float64(i)/23)
		high[i] = low[i] + 6 + float64(i*i)/4000
		switch {
		case i >= 240:
			label[i] = 1
		case i >= 180:
			label[i], score[i] = -1, 0.2
		}
	}
	data, _ := json.Marshal(map[string]any{
		"camera": camera, "every_s": 10, "now": 1359, "labels": []string{"church", "golf ball"},
		"at": at, "label": label, "score": score, "p50_ms": low, "p95_ms": high, "frames": at,
	})
	return data
}

// TestTwoTabs: what one changes the other shows; the token is of one tab alone, and one
// that is closed costs the other nothing.
func TestTwoTabs(t *testing.T) {
	box, one := start(t, cameras()...), newTab(t)
	one.open(box.url())
	one.unlock()
	two := one.another()
	two.open(box.url())
	two.pictured("door")
	if !get[bool](two, `document.querySelector("#keep").disabled`) {
		t.Error("the second tab has the first one's token")
	}
	one.press("#keep", kb.ArrowRight)
	one.until(func() bool { return !box.settings().Auto }, "a fixed keep ratio")
	keep := fmt.Sprintf("%.0f", 100*box.settings().Keep)
	two.await(`document.querySelector("#keep").value === "` + keep + `" && document.querySelector("#auto").ariaChecked === "false"`)
	if err := chromedp.Cancel(one.ctx); err != nil {
		t.Fatal(err)
	}
}

// TestElsewhere: seen from another machine nothing is shown without the token; with it
// the page is whole.
func TestElsewhere(t *testing.T) {
	box, tab := start(t, cameras()...), newTab(t)
	url := box.behind(t, http.Header{"X-Forwarded-For": {"192.0.2.7"}}, nil)
	tab.do(chromedp.Navigate(url))
	tab.await(`document.querySelector("#unlock").open`)
	tab.text("#link", "No access")
	if cards := get[int](tab, `document.querySelectorAll(".camera").length`); cards != 0 {
		t.Errorf("%d cameras are shown", cards)
	}
	tab.do(chromedp.SendKeys(chromedp.CSS("#token"), "wrong\r"))
	tab.text("#unlock-wrong", "not the token")
	tab.do(chromedp.Click(chromedp.CSS("#remember")))
	tab.enter("#token", token)
	tab.live()
	tab.pictured("door")
	tab.do(chromedp.Reload())
	tab.live()
	tab.pictured("door")
}

// TestStreamLasts: a stream outlives the limits that the server has for pages.
func TestStreamLasts(t *testing.T) {
	box := start(t, cameras()...)
	out, err := exec.Command(program(t, "curl", "curl"), "-sN", "--max-time", "13", box.url()+"/page/events").Output()
	var end *exec.ExitError
	if !errors.As(err, &end) || end.ExitCode() != 28 { // it was curl that had enough
		t.Errorf("curl ended by %v after %d bytes", err, len(out))
	}
	if n := bytes.Count(out, []byte("event: stats\n")); n < 5 {
		t.Errorf("stats came %d times", n)
	}
}

// TestCurl: every path of the interface's table answers a shell, by GET and by HEAD, and
// in parts where it is a file or a picture.
func TestCurl(t *testing.T) {
	box := start(t, cameras()...)
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "interface.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, doc, _ = bytes.Cut(doc, []byte("\n## HTTP\n"))
	doc, _, _ = bytes.Cut(doc, []byte("\n## "))
	bearer := "Authorization: Bearer " + token
	checked := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `(/[^`]*)` \\| (.*) \\|$").FindAllStringSubmatch(string(doc), -1) {
		path := strings.NewReplacer("<name>", "door", "<command>", "budget").Replace(row[1])
		url := box.url() + path
		code, kind := "200", map[string]string{
			"/": "text/html", "/page/events": "text/event-stream", "/page/camera/door/picture": "image/jpeg", "/metrics": "text/plain",
		}[path]
		if kind == "" {
			kind = "application/json"
		}
		args := []string{"-H", bearer}
		switch {
		case strings.HasPrefix(row[2], "POST"):
			args = append(args, "-d", "77ms")
		case path == "/debug/pprof/":
			code, kind = "404", "text/plain"
		case path == "/page/events":
			args = append(args, "-N", "--max-time", "2")
		}
		got := box.curl(append(args, url)...)
		if !strings.HasPrefix(got, "HTTP/1.1 "+code+" ") || !strings.Contains(got, "Content-Type: "+kind) {
			t.Errorf("%s: %.300s", path, got)
		}
		checked++
		if strings.HasPrefix(row[2], "POST") {
			if got := box.curl("-H", bearer, url); !strings.HasPrefix(got, "HTTP/1.1 405 ") {
				t.Errorf("GET %s: %.300s", path, got)
			}
			continue
		}
		if got := box.curl("-I", "-H", bearer, url); !strings.HasPrefix(got, "HTTP/1.1 "+code+" ") || !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("HEAD %s: %.300s", path, got)
		}
		if kind == "text/html" || kind == "image/jpeg" {
			if got := box.curl("-H", bearer, "-r", "0-9", url); !strings.HasPrefix(got, "HTTP/1.1 206 ") || !strings.Contains(got, "Content-Length: 10\r\n") {
				t.Errorf("ten bytes of %s: %.300s", path, got)
			}
		}
	}
	if checked < 9 {
		t.Errorf("only %d paths in docs/interface.md", checked)
	}
	if now := box.settings().Budget; now != 77 {
		t.Errorf("the budget is %v", now)
	}
	if got := box.curl("-d", "5ms", box.url()+"/page/cmd/budget"); !strings.HasPrefix(got, "HTTP/1.1 401 ") {
		t.Errorf("a change without the token: %.300s", got)
	}
	if got := box.curl("-H", "Host: evil.example", box.url()+"/page/events"); !strings.HasPrefix(got, "HTTP/1.1 403 ") {
		t.Errorf("asked by another name: %.300s", got)
	}
}
