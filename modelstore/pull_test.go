package modelstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dynvit/modelfile"
	"dynvit/vit"
)

// site serves a model without predictors as published weights "toy-one", under /official/
// and /mirror/, and counts what is asked for.
type site struct {
	*httptest.Server
	requests atomic.Int64
	weights  Weights
}

func newSite(t *testing.T) *site {
	t.Helper()
	file := toy(t)
	sum := sha256.Sum256(file)
	s := new(site)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if r.URL.Path != "/official/toy.pth" && r.URL.Path != "/mirror/toy.pth" {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "toy.pth", time.Time{}, bytes.NewReader(file))
	}))
	t.Cleanup(s.Close)
	s.weights = Weights{
		Name: "toy-one", URL: s.URL + "/official/toy.pth", SHA256: hex.EncodeToString(sum[:]), MaxBytes: 8 << 20,
		Meta: map[string]string{"license": "free", "training": "a test"},
	}
	return s
}

// written is a model file's bytes.
func written(t *testing.T, meta map[string]string, tensors []modelfile.Tensor) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := modelfile.Write(path, meta, tensors); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// toy is a model file of width 128 and depth 12.
func toy(t *testing.T) []byte {
	t.Helper()
	c := vit.Config{Architecture: "vit", ImageSize: 32, PatchSize: 16, Width: 128, Depth: 12, Heads: 2, Hidden: 128, Classes: 3,
		Eps: 1e-6, SkipLam: 1, QKVBias: true, Resize: 36, Interpolation: "bicubic", Std: [3]float32{1, 1, 1}, PruneAt: []int{3, 6, 9}}
	tensors, err := vit.Random{Config: c}.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	return written(t, c.Manifest().Encode(), tensors)
}

func (s *site) options(t *testing.T) PullOptions {
	return PullOptions{Store: filepath.Join(t.TempDir(), "new", "store"), public: []Weights{s.weights}}
}

// predictors is a file of predictors for three stages of a model of this width,
// whose tensors are all value.
func predictors(t *testing.T, width int, value float32) []byte {
	t.Helper()
	var tensors []modelfile.Tensor
	add := func(name string, shape ...int) {
		n := 1
		for _, s := range shape {
			n *= s
		}
		data := slices.Repeat([]float32{value}, n)
		f, err := modelfile.FromFloat32(name, data, shape, modelfile.F32)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, f...)
	}
	for _, stage := range []string{"0", "1", "2"} {
		at := "score_predictor." + stage + "."
		add(at+"in_conv.0.weight", width)
		add(at+"in_conv.0.bias", width)
		add(at+"in_conv.1.weight", width, width)
		add(at+"in_conv.1.bias", width)
		add(at+"out_conv.0.weight", width/2, width)
		add(at+"out_conv.0.bias", width/2)
		add(at+"out_conv.2.weight", width/4, width/2)
		add(at+"out_conv.2.bias", width/4)
		add(at+"out_conv.4.weight", 2, width/4)
		add(at+"out_conv.4.bias", 2)
	}
	return written(t, map[string]string{"prune_at": "2,5,8"}, tensors)
}

// opened is the Config of a model file.
func opened(t *testing.T, path string) (*modelfile.File, vit.Config) {
	t.Helper()
	f, err := modelfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c, err := vit.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

func files(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestPull(t *testing.T) {
	s := newSite(t)
	o := s.options(t)
	p, err := Pull(context.Background(), "toy-one", o)
	if err != nil || p.Predictors || p.Had || p.Path != filepath.Join(o.Store, "toy-one.safetensors") {
		t.Fatalf("%+v, %v", p, err)
	}
	f, c := opened(t, p.Path)
	if c.Width != 128 || c.Predictors || f.Meta["license"] != "free" || f.Meta["training"] != "a test" {
		t.Errorf("width %d, predictors %v, metadata %v", c.Width, c.Predictors, f.Meta)
	}
	if got := files(t, o.Store); got != "toy-one.safetensors" {
		t.Errorf("the store has %s", got)
	}
	if p, err := Pull(context.Background(), "toy-one", o); err != nil || !p.Had || s.requests.Load() != 1 {
		t.Errorf("again: %+v, %v, %d requests", p, err, s.requests.Load())
	}
	o.Again = true
	if p, err := Pull(context.Background(), "toy-one", o); err != nil || p.Had || s.requests.Load() != 2 {
		t.Errorf("--again: %+v, %v, %d requests", p, err, s.requests.Load())
	}
}

func TestMirror(t *testing.T) {
	s := newSite(t)
	o := s.options(t)
	s.weights.URL = "http://127.0.0.1:1/official/toy.pth"
	o.public[0] = s.weights
	o.Mirror = s.URL + "/mirror/"
	if _, err := Pull(context.Background(), "toy-one", o); err != nil {
		t.Error(err)
	}
	for _, mirror := range []string{"ftp://host/x", "host/x", "http://", "\n"} {
		o.Mirror, o.Again = mirror, true
		var wrong *RequestError
		if _, err := Pull(context.Background(), "toy-one", o); !errors.As(err, &wrong) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v", mirror, err)
		}
	}
}

// TestShortSum: of weights whose sum is known in part, nothing is fetched from where
// somebody else could answer, unless the whole sum is given.
func TestShortSum(t *testing.T) {
	s := newSite(t)
	whole := s.weights.SHA256
	s.weights.SHA256 = whole[:8]
	o := s.options(t)
	var wrong *RequestError
	for address, mirror := range map[string]string{
		s.weights.URL:                           "", // plain http
		"https://official.invalid/toy.pth":      s.URL + "/mirror",
		"https://also.official.invalid/toy.pth": "https://mirror.invalid",
	} {
		o.public[0].URL, o.Mirror = address, mirror
		if _, err := Pull(t.Context(), "toy-one", o); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "no protection") || !strings.Contains(err.Error(), "--sha256") {
			t.Errorf("%s from %q: %v", address, mirror, err)
		}
	}
	for _, sum := range []string{whole[:8], whole + "00", strings.Repeat("x", 64), "0" + whole[:63]} {
		if o.SHA256 = sum; sum == whole {
			t.Fatal("the sum is its own shift")
		}
		if _, err := Pull(t.Context(), "toy-one", o); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "sha256") {
			t.Errorf("sum %s: %v", sum, err)
		}
	}
	if s.requests.Load() != 0 {
		t.Errorf("%d requests", s.requests.Load())
	}
	o.SHA256, o.Mirror = strings.ToUpper(whole), s.URL+"/mirror"
	if _, err := Pull(t.Context(), "toy-one", o); err != nil {
		t.Error(err)
	}
	o.SHA256, o.Again = whole[:8]+strings.Repeat("0", 56), true
	if _, err := Pull(t.Context(), "toy-one", o); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("another whole sum: %v", err)
	}
}

// TestSecretsOfMirror: no error shows user, password or query of an address, and nobody
// is told where a redirection came from; they are used all the same.
func TestSecretsOfMirror(t *testing.T) {
	s := newSite(t)
	var seen []string
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, fmt.Sprint(r.URL, r.Header))
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer away.Close()
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "us3r" || password != "pa55" || r.URL.Query().Get("token") != "t0ken" {
			t.Errorf("asked with %v, %v", r.URL, r.Header)
		}
		http.Redirect(w, r, away.URL+"/x", http.StatusFound)
	}))
	defer gate.Close()
	host := strings.TrimPrefix(gate.URL, "http://")
	o := s.options(t)
	for _, mirror := range []string{
		"http://us3r:pa55@" + host + "/m?token=t0ken",
		"https://us3r:pa55@127.0.0.1:1/m?token=t0ken",
		"ftp://us3r:pa55@host/m?token=t0ken",
		"us3r:pa55@host/m?t0ken",
		"//us3r:pa55@host/m?t0ken",
		"http://us3r:pa%zz55@host/?t0ken",
		"http://us3r:pa/55?@host:x/?t0ken",
		"http:us3r:pa55@host",
	} {
		o.Mirror = mirror
		_, err := Pull(t.Context(), "toy-one", o)
		if err == nil {
			t.Errorf("%s: pulled", mirror)
			continue
		}
		for _, secret := range []string{"us3r", "pa55", "pa%", "pa/", "t0ken"} {
			if strings.Contains(strings.ReplaceAll(err.Error(), host, ""), secret) {
				t.Errorf("%s: %v", mirror, err)
			}
		}
	}
	if len(seen) == 0 {
		t.Error("the redirection was not followed")
	}
	for _, request := range seen {
		if strings.Contains(request, "t0ken") || strings.Contains(request, "us3r") || strings.Contains(request, "Basic") {
			t.Errorf("told the other host %s", request)
		}
	}
}

// TestPredictors: those in the store become part of the model; there need be none.
func TestPredictors(t *testing.T) {
	s := newSite(t)
	for _, inStore := range []bool{true, false} {
		o := s.options(t)
		const want = 0.25
		if inStore {
			put(t, o.Store, "toy_one_predictors.safetensors", predictors(t, 128, want))
		}
		p, err := Pull(context.Background(), "toy-one", o)
		if err != nil || p.Predictors != inStore {
			t.Fatalf("%+v, %v", p, err)
		}
		f, c := opened(t, p.Path)
		if !inStore {
			if c.Predictors {
				t.Error("predictors of nowhere")
			}
			continue
		}
		got, _, err := f.Float32("score_predictor.2.out_conv.4.weight")
		if err != nil || !c.Predictors || !slices.Equal(c.PruneAt, []int{2, 5, 8}) || got[0] != want {
			t.Errorf("predictors %v at %v, %v, want %v, %v", c.Predictors, c.PruneAt, got[:1], want, err)
		}
	}
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestWrongPredictors: nothing is stored, and what was fetched need not be fetched
// again.
func TestWrongPredictors(t *testing.T) {
	s := newSite(t)
	o := s.options(t)
	put(t, o.Store, "toy_one_predictors.safetensors", predictors(t, 64, 1))
	if _, err := Pull(context.Background(), "toy-one", o); err == nil || !strings.Contains(err.Error(), "width 128") {
		t.Errorf("got %v", err)
	}
	if got := files(t, o.Store); got != "toy.pth toy_one_predictors.safetensors" {
		t.Errorf("the store has %s", got)
	}
	if err := os.Remove(filepath.Join(o.Store, "toy_one_predictors.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(context.Background(), "toy-one", o); err != nil || s.requests.Load() != 1 {
		t.Errorf("%v after %d requests", err, s.requests.Load())
	}
	if got := files(t, o.Store); got != "toy-one.safetensors" {
		t.Errorf("the store has %s", got)
	}
}

func TestPullErrors(t *testing.T) {
	s := newSite(t)
	var unknown *UnknownError
	if _, err := Pull(context.Background(), "toy-two", s.options(t)); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "toy-one") {
		t.Errorf("unknown: %v", err)
	}
	o := s.options(t)
	o.public[0].URL = "http://127.0.0.1:1/toy.pth"
	if _, err := Pull(context.Background(), "toy-one", o); err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "--mirror") {
		t.Errorf("no network: %v", err)
	}
	if got := files(t, o.Store); got != "" {
		t.Errorf("the store has %s", got)
	}
	o = s.options(t)
	put(t, filepath.Dir(filepath.Dir(o.Store)), "new", nil) // a file where the folder should be
	if _, err := Pull(context.Background(), "toy-one", o); err == nil || !strings.Contains(err.Error(), "DYNVIT_MODELS") {
		t.Errorf("no folder: %v", err)
	}
}

// TestPublic: the checksum is the one in the official file name, so that a mistyped
// one cannot pass.
func TestPublic(t *testing.T) {
	var names []string
	for _, w := range Public() {
		names = append(names, w.Name)
		if !strings.HasSuffix(w.URL, "-"+w.SHA256[:8]+".pth") || !strings.HasPrefix(w.URL, "https://dl.fbaipublicfiles.com/deit/") || len(w.SHA256) != sumDigits {
			t.Errorf("%+v", w)
		}
		m, err := modelfile.ParseManifest(w.Meta)
		if searched := w.Name == "deit-tiny"; err != nil || searched != slices.Equal(m.MergeAt, []int{3, 4, 6, 8, 10}) {
			t.Errorf("%s merges at %v, %v", w.Name, m.MergeAt, err)
		}
	}
	if want := []string{"deit-tiny", "deit-small", "deit-base"}; !slices.Equal(names, want) {
		t.Errorf("names %v, want %v", names, want)
	}
}
