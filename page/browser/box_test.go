// Package browser drives the live page of a running daemon in Chromium. It is a module
// of its own, so that the daemon's has no browser driver in it.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const token = "correct-horse-battery"

// missing ends the test for want of what, as internal/needs does.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("DYNVIT_REQUIRE") != "" {
		t.Fatal("needs " + what)
	}
	t.Skip("needs " + what)
}

// program is the path of a program of a Debian package.
func program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+": install the Debian package "+debianPackage)
	}
	return path
}

// built is the folder of the daemon, to be removed.
var built string

// dynvitd builds the daemon once.
var dynvitd = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dynvitd")
	if err != nil {
		return "", err
	}
	built = dir
	build := exec.Command("go", "build", "-o", dir, "./cmd/dynvitd")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return filepath.Join(dir, "dynvitd"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// box is a daemon and what stands between it and the browser: a forwarder that keeps its
// port when the daemon is started anew.
type box struct {
	t     *testing.T
	env   []string
	state string
	front net.Listener

	mu      sync.Mutex
	address string // of the daemon
	daemon  *exec.Cmd
	log     *bytes.Buffer
	conns   map[net.Conn]bool // of the browser, at the forwarder
	stalled atomic.Bool       // the forwarder takes and gives nothing
}

// cameras are those of most tests: two that show drawn scenes, one that is not there.
func cameras() []string {
	return []string{"DOOR_SOURCE=test:?fps=5", "YARD_SOURCE=test:?fps=5&seed=3&size=640x480", "YARD_REGION=0.1,0,0.9,1", "ATTIC_SOURCE=http://127.0.0.1:9/"}
}

// start runs a daemon with cameras, by their variables after DYNVIT_CAMERAS_.
func start(t *testing.T, cameras ...string) *box {
	t.Helper()
	b := &box{t: t, state: t.TempDir(), conns: map[net.Conn]bool{}}
	file := filepath.Join(b.state, "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.env = append(os.Environ(), "STATE_DIRECTORY="+b.state, "DYNVIT_HTTP_TOKEN_FILE="+file, "DYNVIT_HTTP_LISTEN=127.0.0.1:0", "DYNVIT_NODE=porch-box")
	for _, c := range cameras {
		b.env = append(b.env, "DYNVIT_CAMERAS_"+c)
	}
	var err error
	if b.front, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.front.Close(); b.cut(); b.stop(); b.tell() })
	go b.forward()
	b.run()
	return b
}

// url is the page's, as the browser has it.
func (b *box) url() string { return "http://" + b.front.Addr().String() }

// run starts the daemon and waits until it listens.
func (b *box) run() {
	b.t.Helper()
	path, err := dynvitd()
	if err != nil {
		b.t.Fatal(err)
	}
	daemon := exec.Command(path, "run", "--keep", "auto")
	daemon.Env = b.env
	out, err := daemon.StderrPipe()
	if err == nil {
		err = daemon.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	found, log := make(chan string, 1), new(bytes.Buffer)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			b.mu.Lock()
			fmt.Fprintln(log, lines.Text())
			b.mu.Unlock()
			if _, address, is := strings.Cut(lines.Text(), "http server started\" address="); is {
				found <- address
			}
		}
	}()
	select {
	case address := <-found:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.daemon, b.address, b.log = daemon, address, log
	case <-time.After(time.Minute):
		daemon.Process.Kill()
		b.t.Fatal("the daemon does not listen")
	}
}

// stop ends the daemon as systemd does, and expects that it ends well.
func (b *box) stop() {
	b.mu.Lock()
	daemon := b.daemon
	b.daemon = nil
	b.mu.Unlock()
	if daemon == nil {
		return
	}
	daemon.Process.Signal(syscall.SIGTERM)
	if err := daemon.Wait(); err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.t.Errorf("the daemon ended by %v\n%s", err, b.log)
	}
}

// tell gives the daemon's log beside what failed.
func (b *box) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t.Failed() && b.log != nil {
		b.t.Logf("the daemon's log:\n%s", b.log)
	}
}

// forward carries bytes between browser and daemon.
func (b *box) forward() {
	for {
		c, err := b.front.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		address := b.address
		b.conns[c] = true
		b.mu.Unlock()
		go func() {
			defer b.drop(c)
			d, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer d.Close()
			go func() { b.carry(d, c); d.Close() }()
			b.carry(c, d)
		}()
	}
}

func (b *box) carry(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for b.stalled.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (b *box) drop(c net.Conn) {
	c.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
}

// cut ends all connections in the middle of what they carry.
func (b *box) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// behind starts another server before the daemon, which adds headers as a proxy does, and may
// answer some paths itself.
func (b *box) behind(t *testing.T, header http.Header, answer map[string]http.HandlerFunc) (url_ string) {
	t.Helper()
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		b.mu.Lock()
		defer b.mu.Unlock()
		r.SetURL(&url.URL{Scheme: "http", Host: b.address})
		r.Out.Host = r.In.Host
		for name, values := range header {
			r.Out.Header[name] = values
		}
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own := answer[r.URL.Path]; own != nil {
			own(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return "http://" + l.Addr().String()
}

// logged reports whether the daemon has written a line with a text.
func (b *box) logged(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Contains(b.log.Bytes(), []byte(text))
}

// logs is what the daemon has written.
func (b *box) logs() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// event is the payload of the first event of a name that a new stream brings.
func (b *box) event(name string) string {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, "GET", b.url()+"/page/events", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if lines.Text() == "event: "+name && lines.Scan() {
			return strings.TrimPrefix(lines.Text(), "data: ")
		}
	}
	b.t.Fatalf("no event %s: %v", name, lines.Err())
	return ""
}

// curl asks as a person at a shell does and returns what was answered, headers too.
func (b *box) curl(args ...string) string {
	b.t.Helper()
	c := exec.Command(program(b.t, "curl", "curl"), append([]string{"-si", "--max-time", "20"}, args...)...)
	out, err := c.Output()
	if err != nil && len(out) == 0 {
		b.t.Fatalf("curl %q: %v", args, err)
	}
	return string(out)
}
