package browser

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// garage is a camera that shows a drawn door, open or shut, from somewhat other places
// each time it is asked.
type garage struct {
	open atomic.Bool
	mu   sync.Mutex
	n    int
}

func (g *garage) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	g.n++
	n := g.n
	g.mu.Unlock()
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	fill := func(r image.Rectangle, c color.RGBA) {
		draw.Draw(img, r.Add(image.Pt(n*7%23, n*5%17)), image.NewUniform(c), image.Point{}, draw.Src)
	}
	light := uint8(n * 11 % 60)
	fill(image.Rect(-40, -40, 400, 300), color.RGBA{120 + light, 150 + light, 170 + light, 255})
	fill(image.Rect(30, 40, 270, 230), color.RGBA{180, 90, 60, 255})
	if g.open.Load() {
		fill(image.Rect(70, 80, 220, 230), color.RGBA{15, 15, 20, 255})
		fill(image.Rect(110, 150, 190, 225), color.RGBA{200, 30, 30, 255}) // a car
	} else {
		for y := 80; y < 230; y += 15 {
			fill(image.Rect(70, y, 220, y+12), color.RGBA{230, 230, 235, 255})
		}
	}
	w.Header().Set("Content-Type", "image/jpeg")
	jpeg.Encode(w, img, nil)
}

// listenTo subscribes to what the daemon publishes, as a person at a shell does; heard is the
// newest state of a camera.
func listenTo(t *testing.T, b *box) (heard func(camera string) string) {
	t.Helper()
	_, after, _ := strings.Cut(b.logs(), "embedded broker started\" url=")
	address, _, _ := strings.Cut(after, " ")
	url, err := url.Parse(address)
	if err != nil || url.Port() == "" {
		t.Fatalf("no broker in the log: %q, %v", address, err)
	}
	c := exec.CommandContext(t.Context(), program(t, "mosquitto_sub", "mosquitto-clients"), "-h", url.Hostname(), "-p", url.Port(), "-v", "-t", "dynvit/+/camera/+/state")
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	newest := map[string]string{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			topic, payload, _ := strings.Cut(lines.Text(), " ")
			mu.Lock()
			newest[strings.Split(topic, "/")[3]] = payload
			mu.Unlock()
		}
	}()
	t.Cleanup(func() { c.Process.Kill(); <-read; c.Wait() })
	return func(camera string) string {
		mu.Lock()
		defer mu.Unlock()
		return newest[camera]
	}
}

// take captures so many pictures into a label, as a person does.
func (b *tab) take(label string, count int) {
	b.t.Helper()
	b.enterText("#label", label)
	b.enterText("#count", fmt.Sprint(count))
	b.enterText("#every", "0.1")
	b.do(chromedp.Click(chromedp.CSS("#capture")))
	b.await(fmt.Sprintf(`document.querySelectorAll("[data-label=%s] .thumb").length === %d && !document.querySelector("#capture").disabled`, label, count))
}

// enterText writes over what a field holds, without sending it.
func (b *tab) enterText(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(selector)))
	get[bool](b, "(document.activeElement.select(), true)")
	b.do(chromedp.KeyEvent(text))
}

// TestTeach walks the whole way as a user does: open the page, capture two labels from a
// camera, correct what is wrong, train, put in force; what is published carries the new label,
// also after a restart, until it is undone.
func TestTeach(t *testing.T) {
	scene := new(garage)
	camera := httptest.NewServer(scene)
	defer camera.Close()
	box, tab := start(t, "DOOR_SOURCE="+camera.URL+"/#fps=10", "DOOR_STABLE=1", "YARD_SOURCE=test:?fps=2"), newTab(t)
	heard := listenTo(t, box)
	tab.as(sights()[0])
	tab.open(box.url() + "/#teach")
	tab.await(`document.querySelector("#teach-unlock").checkVisibility() && !document.querySelector("#train").checkVisibility()`)
	tab.shoot("teach-locked")
	tab.do(chromedp.Click(chromedp.CSS("#teach-unlock")), chromedp.SendKeys(chromedp.CSS("#token"), token+"\r"))
	tab.await(`document.querySelector("#train").checkVisibility() && document.querySelector("#train").disabled`)
	tab.text("#train-note", "two labels")
	tab.text("#in-force", "imagenette")

	tab.take("shut", 8)
	scene.open.Store(true)
	tab.take("open", 8)
	tab.await(`[...document.querySelectorAll(".thumb img")].every((i) => i.naturalWidth === 320)`)

	// One picture is of the wrong label: it is moved there, and back; another is deleted.
	tab.do(chromedp.Click(chromedp.CSS("[data-label=open] .thumb")))
	tab.enterText("#move-to", "shut")
	tab.do(chromedp.Click(chromedp.CSS("#move")))
	tab.await(`document.querySelectorAll("[data-label=shut] .thumb").length === 9 && document.querySelectorAll("[data-label=open] .thumb").length === 7`)
	tab.press("[data-label=open] .thumb", " ")
	tab.await(`document.querySelector("[data-label=open] .thumb").ariaPressed === "true"`)
	tab.press("#remove", kb.Enter)
	tab.await(`document.querySelectorAll("[data-label=open] .thumb").length === 6`)
	tab.text("#chosen-count", "0 chosen")

	tab.press("#whole", " ")
	tab.await(`document.querySelector("#whole").checked`)
	tab.press("#train", kb.Enter)
	tab.await(`document.querySelector("#train").ariaBusy === "true" && !document.querySelector("#cancel").disabled`)
	tab.await(`document.querySelector("#accuracy")`)
	tab.await(`document.querySelectorAll(".confusion tbody tr").length === 2`)
	tab.text("#train-note", "Takes seconds")
	for _, s := range sights() {
		tab.as(s)
		tab.do(chromedp.Reload())
		tab.live()
		tab.await(`document.querySelector("#accuracy") && document.querySelector(".teach .picture img").naturalWidth`)
		get[bool](tab, "(scrollTo(0, 0), true)")
		if jump := tab.jump(); jump > 0.01 {
			t.Errorf("%s: the layout jumps by %.3f", s.name, jump)
		}
		if wide := get[int](tab, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
			t.Errorf("%s: %d pixels too wide", s.name, wide)
		}
		for _, complaint := range tab.axe() {
			t.Errorf("%s: %s", s.name, complaint)
		}
		tab.await(`[...document.querySelectorAll(".teach img")].every((i) => i.naturalWidth || (i.scrollIntoView(), false))`)
		get[bool](tab, "(scrollTo(0, 0), true)")
		tab.shoot("teach-" + s.name)
	}
	get[bool](tab, `(document.querySelector("#language").value = "de", document.querySelector("#language").dispatchEvent(new Event("change")), true)`)
	tab.text("#train", "Lernen")
	tab.text(".doubtful li p", "Als shut angegeben")
	tab.await(`document.querySelector(".report").textContent.includes("open: 6 Bilder sind wenige; nimm 10 oder mehr auf.")`)
	tab.shoot("teach-german")
	get[bool](tab, `(document.querySelector("#language").value = "en", document.querySelector("#language").dispatchEvent(new Event("change")), true)`)
	tab.text("#train", "Train")
	tab.as(sights()[0])
	// The picture of the open door among those of the shut one is what looks wrong.
	tab.await(`document.querySelector(".doubtful li p").textContent.includes("Given as shut, looks like open")`)
	tab.do(chromedp.Click(chromedp.CSS(".doubtful button")))
	tab.await(`document.querySelectorAll("[data-label=open] .thumb").length === 7 && document.querySelectorAll("[data-label=shut] .thumb").length === 8`)
	tab.do(chromedp.Click(chromedp.CSS("#train")))
	tab.await(`document.querySelector("#train").ariaBusy === "true"`)
	tab.await(`document.querySelector("#train").ariaBusy === "false" && document.querySelector(".doubtful") === null`)

	tab.do(chromedp.Click(chromedp.CSS("#put")))
	tab.text("#in-force", "In force: door-")
	tab.until(func() bool { return strings.Contains(heard("door"), `"label":"open"`) }, "the state says open")
	scene.open.Store(false)
	tab.until(func() bool { return strings.Contains(heard("door"), `"label":"shut"`) }, "the state says shut")
	tab.shoot("teach-in-force")

	box.cut()
	box.stop()
	box.run()
	heard = listenTo(t, box)
	tab.live()
	tab.text("#in-force", "In force: door-")
	tab.until(func() bool { return strings.Contains(heard("door"), `"label":"shut"`) }, "the state says shut after a restart")
	tab.do(chromedp.Click(chromedp.CSS("#undo")))
	tab.text("#in-force", "In force: imagenette")
	tab.until(func() bool { return strings.Contains(heard("door"), `"model":"imagenette"`) }, "the state is of imagenette again")

	list, err := filepath.Glob(filepath.Join(box.state, "teach", "door", "*", "*.jpg"))
	if err != nil || len(list) != 15 {
		t.Errorf("%d pictures, %v", len(list), err)
	}
	if heads, err := os.ReadDir(filepath.Join(box.state, "taught")); err != nil || len(heads) != 1 {
		t.Errorf("heads %v, %v", heads, err)
	}
}
