package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long anything may take on a machine that does other things too. Tests
// wait for what is to happen, and fail after it.
const patience = 40 * time.Second

// tab is a tab of a browser. What its page says of errors fails the test.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	wrong   []string                   // exceptions and complaints of the browser
	asked   []string                   // addresses
	waiting map[network.RequestID]bool // pictures that are asked for
	most    int                        // such at once
}

// newTab opens a browser with an empty tab.
func newTab(t *testing.T) *tab {
	t.Helper()
	path := program(t, "chromium", "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()))
	browser, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	return openTab(t, browser)
}

// another opens a second tab of the same browser.
func (b *tab) another() *tab { return openTab(b.t, b.ctx) }

func openTab(t *testing.T, parent context.Context) *tab {
	t.Helper()
	b := &tab{t: t, waiting: map[network.RequestID]bool{}}
	ctx, stop := chromedp.NewContext(parent)
	b.ctx = ctx
	t.Cleanup(func() {
		stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, w := range b.wrong {
			t.Errorf("the browser: %s", w)
		}
	})
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	must(b, network.Enable, network.EnableParams{})
	must(b, log.Enable, cdp.Empty{})
	return b
}

// hear notes what the browser tells. Requests that failed are told by the page itself.
func (b *tab) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		b.wrong = append(b.wrong, string(text))
	case *runtime.EventConsoleAPICalled:
		text, _ := json.Marshal(e.Args)
		b.wrong = append(b.wrong, fmt.Sprintf("console.%s: %s", e.Type, text))
	case *log.EventEntryAdded:
		if e.Entry.Source != log.EntrySourceNetwork && !strings.Contains(e.Entry.Text, "getImageData") { // what a test reads is its own matter
			b.wrong = append(b.wrong, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
		if strings.HasSuffix(e.Request.URL, "/picture") {
			b.waiting[e.RequestID] = true
			b.most = max(b.most, len(b.waiting))
		}
	case *network.EventLoadingFinished:
		delete(b.waiting, e.RequestID)
	case *network.EventLoadingFailed:
		delete(b.waiting, e.RequestID)
	}
}

// must runs a command of the protocol.
func must[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	answer, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return answer
}

// do runs steps, with patience.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// get is the value of an expression, or of a promise of it.
func get[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// await waits until an expression holds.
func (b *tab) await(expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if get[bool](b, "Boolean("+expression+")") {
			return
		}
		if time.Now().After(end) {
			b.shoot("failed")
			b.t.Fatalf("never: %s\n%s", expression, get[string](b, "document.body.innerText"))
		}
	}
}

// text waits until an element says something.
func (b *tab) text(selector, want string) {
	b.t.Helper()
	b.await(fmt.Sprintf("document.querySelector(%q)?.textContent.includes(%q)", selector, want))
}

// open goes to a page and waits until it is live.
func (b *tab) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.live()
}

func (b *tab) live() {
	b.t.Helper()
	b.await(`document.querySelector("#link")?.dataset.state === "live"`)
}

// pictured waits until a camera's picture is another one, which it is where it is seen.
func (b *tab) pictured(camera string) {
	b.t.Helper()
	b.await(fmt.Sprintf("(document.querySelector('[data-camera=%[1]s]')?.scrollIntoView({block: 'center'}), document.querySelector('[data-camera=%[1]s]'))", camera))
	seq := fmt.Sprintf(`Number(document.querySelector("[data-camera=%s]")?.dataset.seq ?? 0)`, camera)
	before := get[int](b, seq)
	b.await(fmt.Sprintf("%s > %d", seq, before))
}

// until waits for what the daemon says.
func (b *tab) until(holds func() bool, what string) {
	b.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.shoot("failed")
			b.t.Fatalf("never: %s", what)
		}
	}
}

// unlock gives the page the token, as a person does.
func (b *tab) unlock() {
	b.t.Helper()
	b.await(`!document.querySelector("#key").hidden`)
	b.do(chromedp.Click(chromedp.CSS("#key")), chromedp.SendKeys(chromedp.CSS("#token"), token+"\r"))
	b.await(`!document.querySelector("#unlock").open && !document.querySelector("#keep").disabled`)
}

// sight is how a page is looked at.
type sight struct {
	name          string
	width, height int64
	dark, phone   bool
}

func sights() []sight {
	return []sight{
		{name: "desktop-light", width: 1440, height: 900}, {name: "desktop-dark", width: 1440, height: 900, dark: true},
		{name: "phone-light", width: 390, height: 844, phone: true}, {name: "phone-dark", width: 390, height: 844, dark: true, phone: true},
	}
}

// as has the browser be of a kind.
func (b *tab) as(s sight) {
	b.t.Helper()
	theme := "light"
	if s.dark {
		theme = "dark"
	}
	must(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
	options := []chromedp.EmulateViewportOption{}
	if s.phone {
		options = append(options, chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.do(chromedp.EmulateViewport(s.width, s.height, options...))
}

// shoot writes what the tab shows to bin/page, to be looked at.
func (b *tab) shoot(name string) {
	b.t.Helper()
	dir := filepath.Join("..", "..", "bin", "page")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Errorf("screenshot %s: %v", name, err)
	}
}

// jump is how far the layout has shifted since the page was loaded, as browsers sum it up.
func (b *tab) jump() float64 {
	b.t.Helper()
	return get[float64](b, `new Promise((done) => new PerformanceObserver((l) => done(l.getEntries().reduce((a, e) => a + e.value, 0)))
		.observe({type: "layout-shift", buffered: true}) ?? setTimeout(() => done(0), 1000))`)
}

// axe is what axe-core complains of, a line a rule.
func (b *tab) axe() []string {
	b.t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", "bin", "axe", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		missing(b.t, "axe-core: make test-page fetches it")
	}
	get[bool](b, string(source)+"\n;typeof axe === 'object'")
	return get[[]string](b, `axe.run({resultTypes: ["violations", "incomplete"]}).then((r) => r.violations.map((v) =>
		v.id + ": " + v.help + ": " + v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary.replace(/\s+/g, " ")).join(" | ")))`)
}
