package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// content is what the server should have, 1 MB of noise.
func content() []byte {
	var seed [32]byte
	b := make([]byte, 1_000_003)
	rand.NewChaCha8(seed).Read(b)
	return b
}

func sumOfBytes(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])[:8]
}

// server counts requests and answers the i-th, from 1, by a script.
type server struct {
	*httptest.Server
	ranges []string // of the requests, "" where all was asked for
}

func serve(t *testing.T, answer func(i int, w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		answer(len(s.ranges), w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// partly sends the bytes from..to of b as an answer that promises all up to
// promised, and breaks the line.
func partly(w http.ResponseWriter, b []byte, from, to, promised int) {
	w.Header().Set("Content-Length", strconv.Itoa(promised-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, promised-1, promised))
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(b[from:to])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// whole answers as a good server does, ranges included.
func good(w http.ResponseWriter, r *http.Request, b []byte) {
	http.ServeContent(w, r, "weights.pth", time.Time{}, bytes.NewReader(b))
}

// options fetch content from a URL into a new folder, without waiting.
func options(t *testing.T, url string) Options {
	return Options{
		URL: url, Path: filepath.Join(t.TempDir(), "weights.pth"), SHA256: sumOfBytes(content()), MaxBytes: 2_000_000,
		wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

// fetched fails unless the file is there, whole, and alone.
func fetched(t *testing.T, o Options, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(o.Path)
	if err != nil || !bytes.Equal(got, content()) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	alone(t, o, "weights.pth")
}

func alone(t *testing.T, o Options, want ...string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(o.Path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("files %v, want %v", names, want)
	}
}

func TestFetch(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { good(w, r, content()) })
	o := options(t, s.URL)
	var last, total int64
	o.Progress = func(done, of int64) {
		if done <= last {
			t.Errorf("progress %d after %d", done, last)
		}
		last, total = done, of
	}
	fetched(t, o, File(context.Background(), o))
	if want := int64(len(content())); last != want || total != want {
		t.Errorf("progress ended at %d of %d, want %d", last, total, want)
	}
	fetched(t, o, File(context.Background(), o)) // it is there
	if len(s.ranges) != 1 {
		t.Errorf("%d requests, want 1", len(s.ranges))
	}
}

// TestBrokenLine: each attempt goes on where the one before broke off.
func TestBrokenLine(t *testing.T) {
	b := content()
	s := serve(t, func(i int, w http.ResponseWriter, r *http.Request) {
		switch i {
		case 1:
			partly(w, b, 0, 300_000, len(b))
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			partly(w, b, 300_000, 300_001, len(b))
		default:
			good(w, r, b)
		}
	})
	o := options(t, s.URL)
	fetched(t, o, File(context.Background(), o))
	if want := []string{"", "bytes=300000-", "bytes=300000-", "bytes=300001-"}; strings.Join(s.ranges, " ") != strings.Join(want, " ") {
		t.Errorf("asked for %q, want %q", s.ranges, want)
	}
}

// TestLaterCallResumes: what came before a server went away is kept and not
// fetched again.
func TestLaterCallResumes(t *testing.T) {
	b := content()
	s := serve(t, func(i int, w http.ResponseWriter, r *http.Request) {
		switch {
		case i == 1:
			partly(w, b, 0, 500_000, len(b))
		case i <= 1+patience:
			w.WriteHeader(http.StatusBadGateway)
		default:
			good(w, r, b)
		}
	})
	o := options(t, s.URL)
	var source *SourceError
	if err := File(context.Background(), o); !errors.As(err, &source) || !strings.Contains(err.Error(), "502") {
		t.Fatalf("got %v", err)
	}
	alone(t, o, "weights.pth.part")
	fetched(t, o, File(context.Background(), o))
	if got := s.ranges[len(s.ranges)-1]; got != "bytes=500000-" {
		t.Errorf("asked for %q", got)
	}
}

// TestRangeIgnored: a server that sends all again is taken from the start.
func TestRangeIgnored(t *testing.T) {
	b := content()
	s := serve(t, func(i int, w http.ResponseWriter, r *http.Request) {
		if i == 1 {
			partly(w, b, 0, 400_000, len(b))
		}
		w.Write(b)
	})
	o := options(t, s.URL)
	fetched(t, o, File(context.Background(), o))
}

// TestOtherFileBefore: a beginning that belongs to another file is thrown away
// once the checksum says so, and once only.
func TestOtherFileBefore(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { good(w, r, content()) })
	o := options(t, s.URL)
	if err := os.WriteFile(o.Path+PartialSuffix, bytes.Repeat([]byte("x"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	fetched(t, o, File(context.Background(), o))
	if want := []string{"bytes=1000-", ""}; strings.Join(s.ranges, " ") != strings.Join(want, " ") {
		t.Errorf("asked for %q, want %q", s.ranges, want)
	}
}

// TestMoreBeforeThanThereIs: the server has nothing after what an earlier call
// left.
func TestMoreBeforeThanThereIs(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { good(w, r, content()) })
	o := options(t, s.URL)
	if err := os.WriteFile(o.Path+PartialSuffix, make([]byte, 1_500_000), 0o600); err != nil {
		t.Fatal(err)
	}
	fetched(t, o, File(context.Background(), o))
}

// TestAllCameBefore: the program ended between the last byte and the rename.
func TestAllCameBefore(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { good(w, r, content()) })
	o := options(t, s.URL)
	if err := os.WriteFile(o.Path+PartialSuffix, content(), 0o600); err != nil {
		t.Fatal(err)
	}
	fetched(t, o, File(context.Background(), o))
}

// TestLengthTooLong: a server that promises more than there is; all of it came.
func TestLengthTooLong(t *testing.T) {
	b := content()
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { partly(w, b, 0, len(b), len(b)+5000) })
	o := options(t, s.URL)
	fetched(t, o, File(context.Background(), o))
}

// TestRedirect is followed.
func TestRedirect(t *testing.T) {
	s := serve(t, func(i int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there" {
			http.Redirect(w, r, "/there", http.StatusFound)
			return
		}
		good(w, r, content())
	})
	o := options(t, s.URL)
	fetched(t, o, File(context.Background(), o))
}

// TestStall: a server that says nothing any more is left and asked again.
func TestStall(t *testing.T) {
	b := content()
	s := serve(t, func(i int, w http.ResponseWriter, r *http.Request) {
		if i > 1 {
			good(w, r, b)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.Write(b[:200_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done() // the client hangs up
	})
	o := options(t, s.URL)
	o.stall = time.Second // also what the second answer may take
	fetched(t, o, File(context.Background(), o))
}

// TestRefused: what no further attempt would mend ends at once, in one line, and
// leaves nothing that would spoil the next call.
func TestRefused(t *testing.T) {
	b := content()
	flipped := bytes.Clone(b)
	flipped[777]++
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		says   string
	}{
		"missing":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) }, "404 Not Found"},
		"damaged":   {func(w http.ResponseWriter, r *http.Request) { good(w, r, flipped) }, "damaged"},
		"short":     {func(w http.ResponseWriter, r *http.Request) { good(w, r, b[:1000]) }, "1000 bytes"},
		"empty":     {func(w http.ResponseWriter, r *http.Request) {}, "0 bytes"},
		"page":      {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "\n<!DOCTYPE html><p>Log in first") }, "page of text"},
		"too large": {func(w http.ResponseWriter, r *http.Request) { good(w, r, make([]byte, 3_000_000)) }, "3000000 bytes"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for range 100 {
				w.Write(b)
				w.(http.Flusher).Flush()
			}
		}, "more than 2000000"},
		"redirects for ever": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "redirected 10 times"},
		"range nobody asked": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPartialContent) }, "206"},
	} {
		s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { c.answer(w, r) })
		o := options(t, s.URL)
		err := File(context.Background(), o)
		var source *SourceError
		if !errors.As(err, &source) || source.URL != s.URL || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
		alone(t, o)
		if len(s.ranges) > 10 {
			t.Errorf("%s: %d requests", name, len(s.ranges))
		}
	}
}

// TestWrongRange: an answer of another place is not glued to what came before,
// which is kept.
func TestWrongRange(t *testing.T) {
	b := content()
	for _, header := range []string{"bytes 999-1000002/1000003", "bytes", "bytes x-y/z", ""} {
		s := serve(t, func(i int, w http.ResponseWriter, r *http.Request) {
			if i == 1 {
				partly(w, b, 0, 400_000, len(b))
			}
			w.Header().Set("Content-Range", header)
			w.WriteHeader(http.StatusPartialContent)
			w.Write(b[999:])
		})
		o := options(t, s.URL)
		if err := File(context.Background(), o); err == nil || !strings.Contains(err.Error(), "asked for bytes from 400000") {
			t.Errorf("%q: got %v", header, err)
		}
		alone(t, o, "weights.pth.part")
	}
}

// TestNobodyThere: no connection ends at once and leaves nothing.
func TestNobodyThere(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	o := options(t, s.URL)
	o.wait = func(context.Context, time.Duration) error { t.Error("waited"); return nil }
	err := File(context.Background(), o)
	var source *SourceError
	if !errors.As(err, &source) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
	alone(t, o)
}

// TestFromHTTPSToHTTP is not followed.
func TestFromHTTPSToHTTP(t *testing.T) {
	plain := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { good(w, r, content()) })
	s := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer s.Close()
	o := options(t, s.URL)
	o.client = newClient()
	o.client.Transport = s.Client().Transport
	if err := File(context.Background(), o); err == nil || !strings.Contains(err.Error(), "redirected from https to http:") {
		t.Errorf("got %v", err)
	}
	if len(plain.ranges) != 0 {
		t.Error("followed")
	}
}

// TestCancelled keeps what has come.
func TestCancelled(t *testing.T) {
	b := content()
	ctx, cancel := context.WithCancel(context.Background())
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.Write(b[:600_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	o := options(t, s.URL)
	o.Progress = func(done, _ int64) {
		if done == 600_000 {
			cancel()
		}
	}
	if err := File(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if info, err := os.Stat(o.Path + PartialSuffix); err != nil || info.Size() != 600_000 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestOneAtATime: a second process is told, and harms nothing.
func TestOneAtATime(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { good(w, r, content()) })
	o := options(t, s.URL)
	first, err := openPartial(o.Path + PartialSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if err := File(context.Background(), o); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v", err)
	}
	first.close()
	fetched(t, o, File(context.Background(), o))
}

// TestFolderMissing is the machine's error, not the server's.
func TestFolderMissing(t *testing.T) {
	o := options(t, "http://127.0.0.1:1")
	o.Path = filepath.Join(t.TempDir(), "no", "weights.pth")
	err := File(context.Background(), o)
	var source *SourceError
	if !errors.Is(err, os.ErrNotExist) || errors.As(err, &source) {
		t.Errorf("got %v", err)
	}
}

// FuzzContentRange: what is taken for a range can be written back.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 5-9/10", "bytes 5-9/*", "bytes -/", "bytes 9223372036854775808-1/2", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, total, err := contentRange(s)
		if err != nil {
			return
		}
		again := fmt.Sprintf("bytes %d-0/%d", first, total)
		if total == -1 {
			again = fmt.Sprintf("bytes %d-0/*", first)
		}
		if a, b, err := contentRange(again); err != nil || a != first || b != total {
			t.Errorf("%q: %d of %d; %q: %d of %d, %v", s, first, total, again, a, b, err)
		}
	})
}
