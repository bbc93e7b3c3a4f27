package modelstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"dynvit/checkpoint"
	"dynvit/download"
	"dynvit/modelfile"
)

// PullOptions say where published weights come from and go to.
type PullOptions struct {
	Store    string                  // folder of named models; made if it is missing
	Mirror   string                  // address of a folder with the official file names, "": the official one
	SHA256   string                  // of the official file, in hexadecimal; "": what is known of it
	Again    bool                    // also where the model is there already
	Progress func(done, total int64) // of the download (download.Options); nil: nobody watches
	public   []Weights               // set by tests
}

// Pulled is what Pull brought.
type Pulled struct {
	Name       string `json:"name"`
	Path       string `json:"path"`       // of the model file
	Predictors bool   `json:"predictors"` // trained ones are part of it; not known where Had
	Had        bool   `json:"had"`        // it was there already, and nothing was done
}

// Pull fetches published weights by name, checks them, and puts them into the
// store as a model file. Predictors trained for them that lie in the store become part
// of it. What was fetched when the line broke
// is kept for the next call. Errors are one line, and say what helps where that is
// known.
func Pull(ctx context.Context, name string, o PullOptions) (Pulled, error) {
	if o.public == nil {
		o.public = Public()
	}
	w, err := find(o.public, name)
	if err != nil {
		return Pulled{}, err
	}
	p := Pulled{Name: w.Name, Path: filepath.Join(o.Store, w.Name+".safetensors")}
	if _, err := os.Stat(p.Path); err == nil && !o.Again {
		p.Had = true
		return p, nil
	}
	address, err := w.address(o.Mirror)
	if err != nil {
		return p, err
	}
	if w.SHA256, err = w.checksum(o.SHA256, address); err != nil {
		return p, err
	}
	if err := os.MkdirAll(o.Store, 0o755); err != nil {
		return p, fmt.Errorf("%w: want a model store that can be written (DYNVIT_MODELS names another)", err)
	}
	official := filepath.Join(o.Store, w.file())
	err = download.File(ctx, download.Options{
		URL: address, Path: official, SHA256: w.SHA256, MaxBytes: w.MaxBytes, Progress: o.Progress,
	})
	if err != nil {
		return p, advise(err, w)
	}
	if p.Predictors, err = w.store(official, p.Path, o); err != nil {
		return p, err
	}
	return p, os.Remove(official)
}

// address is where the weights are fetched.
func (w Weights) address(mirror string) (string, error) {
	if mirror == "" {
		return w.URL, nil
	}
	u, err := url.Parse(mirror)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", &RequestError{fmt.Errorf("mirror %q: want http:// or https:// and a host", download.Redact(mirror))}
	}
	return u.JoinPath(w.file()).String(), nil
}

// sumDigits are those of a whole SHA-256.
const sumDigits = 2 * sha256.Size

// checksum is what a file from address must have: the one that was given, else what is
// known. A few digits serve against damage, not against who could send another file.
func (w Weights) checksum(given, address string) (string, error) {
	_, err := hex.DecodeString(given)
	given = strings.ToLower(given)
	switch {
	case given != "" && (err != nil || len(given) != sumDigits):
		return "", &RequestError{fmt.Errorf("sha256 %q: want %d hexadecimal digits", given, sumDigits)}
	case !strings.HasPrefix(given, w.SHA256[:min(len(given), len(w.SHA256))]):
		return "", &RequestError{fmt.Errorf("sha256 %s: that of %s is %s", given, w.file(), w.SHA256)}
	case given != "":
		return given, nil
	case len(w.SHA256) == sumDigits:
		return w.SHA256, nil
	}
	if !sameHost(address, w.URL) || !strings.HasPrefix(address, "https://") {
		return "", &RequestError{fmt.Errorf("%s is known by %d digits of its SHA-256 alone, which is no protection over plain http or from another host: want https:// of the official one, or --sha256 SUM",
			w.file(), len(w.SHA256))}
	}
	return w.SHA256, nil
}

func sameHost(a, b string) bool {
	u, err1 := url.Parse(a)
	v, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && u.Host == v.Host
}

// RequestError says that a mirror's address is none, or a checksum, or that one is
// wanted. It shows neither user, password nor query.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *RequestError) Unwrap() error { return e.Err }

// advise adds to a failure of the server, or of the way to it, what else there is
// to do.
func advise(err error, w Weights) error {
	var source *download.SourceError
	if errors.As(err, &source) {
		return fmt.Errorf("%w; try again, name a mirror (--mirror), or bring %s here and `dynvitd model import` it", err, w.file())
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: want a model store that can be written (DYNVIT_MODELS names another)", err)
	}
	return err
}

// store writes the model file, with predictors where there are some.
func (w Weights) store(path, out string, o PullOptions) (predictors bool, err error) {
	c, err := checkpoint.Open(path, checkpoint.Options{Alone: true})
	if err != nil {
		return false, err
	}
	defer c.Close()
	p, err := w.openPredictors(o)
	if err != nil {
		return false, err
	}
	if p != nil {
		defer p.Close()
	}
	m, tensors, err := convert(c, p, ImportOptions{Given: w.Meta})
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return p != nil, modelfile.Write(out, metadata(m), tensors)
}

// openPredictors finds the trained predictors in the store; nil where there are none.
func (w Weights) openPredictors(o PullOptions) (*modelfile.File, error) {
	p, err := modelfile.Open(filepath.Join(o.Store, w.predictors()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("predictors %w", err)
	}
	return p, nil
}
