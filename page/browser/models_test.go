package browser

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// taught teaches the model garage of drawn doors, in a store of the test's own.
func taught(t *testing.T) {
	t.Helper()
	t.Setenv("DYNVIT_MODELS", t.TempDir())
	program, err := dynvitd()
	if err != nil {
		t.Fatal(err)
	}
	dir, scene := t.TempDir(), new(garage)
	for i := range 12 {
		label := []string{"shut", "open"}[i%2]
		scene.open.Store(label == "open")
		answer := httptest.NewRecorder()
		scene.ServeHTTP(answer, nil)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s_%d.jpg", label, i)), answer.Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(program, "teach", dir, "-o", "garage", "--model", "imagenette").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestFurtherModels: of a camera that several models look at each has its name, label,
// score and hour, on every screen, and the teach view says what each sees.
func TestFurtherModels(t *testing.T) {
	taught(t)
	scene := new(garage)
	camera := httptest.NewServer(scene)
	defer camera.Close()
	box, tab := start(t, "DOOR_SOURCE="+camera.URL+"/#fps=5", "DOOR_STABLE=1", "DOOR_MODELS=imagenette,garage", "YARD_SOURCE=test:?fps=2"), newTab(t)
	for _, s := range sights() {
		tab.as(s)
		tab.open(box.url())
		tab.pictured("door")
		get[bool](tab, "(scrollTo(0, 0), true)")
		tab.await(`document.querySelectorAll("[data-camera=door] .model").length === 2 && document.querySelectorAll("[data-camera=yard] .model").length === 1`)
		tab.text("[data-camera=door] [data-model=imagenette] .model-name", "imagenette")
		tab.text("[data-camera=door] [data-model=garage] .model-name", "garage")
		tab.text("[data-camera=door] [data-model=garage] .label", "shut")
		tab.await(`/^\d/.test(document.querySelector("[data-model=garage] .score").textContent)`)
		tab.text("[data-camera=door] [data-model=garage] .legend", "shut")
		tab.await(`!document.querySelector("[data-camera=door] [data-model=imagenette] .legend").textContent.includes("shut")`)
		if jump := tab.jump(); jump > 0.01 {
			t.Errorf("%s: the layout jumps by %.3f", s.name, jump)
		}
		if wide := get[int](tab, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
			t.Errorf("%s: %d pixels too wide", s.name, wide)
		}
		for _, complaint := range tab.axe() {
			t.Errorf("%s: %s", s.name, complaint)
		}
		tab.shoot("models-" + s.name)
	}
	scene.open.Store(true)
	tab.text("[data-camera=door] [data-model=garage] .label", "open")

	tab.as(sights()[0])
	tab.open(box.url() + "/#teach")
	tab.do(chromedp.Click(chromedp.CSS("#teach-unlock")), chromedp.SendKeys(chromedp.CSS("#token"), token+"\r"))
	tab.await(`document.querySelectorAll(".teach .now").length === 2`)
	tab.text(".teach .now:last-child", "· garage")
	tab.await(`[...document.querySelectorAll(".teach .now")].at(-1).textContent.startsWith("open")`)
	scene.open.Store(false)
	tab.await(`[...document.querySelectorAll(".teach .now")].at(-1).textContent.startsWith("shut")`)
	tab.shoot("models-teach")
}
