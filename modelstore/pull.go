package modelstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"dynvit/download"
	"dynvit/modelfile"
	"dynvit/vit"
)

// PullOptions say where published weights come from and go to.
type PullOptions struct {
	Store    string                   // folder of named models; made if it is missing
	Mirror   string                   // address of a folder with the official file names, "": the official one
	Again    bool                     // also where the model is there already
	Progress func(done, total int64)  // of the download (download.Options); nil: nobody watches
	Embedded func(file string) []byte // predictors that the program carries, nil where it has none of that name
	public   []Weights                // set by tests
}

// Pulled is what Pull brought.
type Pulled struct {
	Name       string `json:"name"`
	Path       string `json:"path"`       // of the model file
	Predictors bool   `json:"predictors"` // trained ones are part of it; not known where Had
	Had        bool   `json:"had"`        // it was there already, and nothing was done
}

// Pull fetches published weights by name, checks them, and puts them into the
// store as a model file. Predictors trained for them, which lie in the store or
// come with the program, become part of it. What was fetched when the line broke
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
	if err := os.MkdirAll(o.Store, 0o755); err != nil {
		return p, fmt.Errorf("%w: want a model store that can be written (DYNVIT_MODELS names another)", err)
	}
	checkpoint := filepath.Join(o.Store, w.file())
	err = download.File(ctx, download.Options{
		URL: address, Path: checkpoint, SHA256: w.SHA256, MaxBytes: w.MaxBytes, Progress: o.Progress,
	})
	if err != nil {
		return p, advise(err, w)
	}
	if p.Predictors, err = w.store(checkpoint, p.Path, o); err != nil {
		return p, err
	}
	return p, os.Remove(checkpoint)
}

// address is where the weights are fetched.
func (w Weights) address(mirror string) (string, error) {
	if mirror == "" {
		return w.URL, nil
	}
	u, err := url.Parse(mirror)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", &MirrorError{mirror}
	}
	return u.JoinPath(w.file()).String(), nil
}

// MirrorError says that a mirror's address is none.
type MirrorError struct{ Mirror string }

func (e *MirrorError) Error() string {
	return fmt.Sprintf("mirror %q: want http:// or https:// and a host", e.Mirror)
}

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
func (w Weights) store(checkpoint, out string, o PullOptions) (predictors bool, err error) {
	file, err := openCheckpoint(checkpoint)
	if err != nil {
		return false, err
	}
	defer file.Close()
	m, err := manifest(w.Meta, file.Meta, "")
	if err != nil {
		return false, fmt.Errorf("%s: %w", checkpoint, err)
	}
	p, err := w.openPredictors(o)
	if err != nil {
		return false, err
	}
	if p != nil {
		defer p.Close()
	}
	meta, tensors, _, err := vit.Import(file, p, m)
	if err != nil {
		return false, fmt.Errorf("%s: %w", checkpoint, err)
	}
	return p != nil, modelfile.Write(out, meta, tensors)
}

// openPredictors finds the trained predictors: in the store, else in the program;
// nil where there are none.
func (w Weights) openPredictors(o PullOptions) (*modelfile.File, error) {
	p, err := modelfile.Open(filepath.Join(o.Store, w.predictors()))
	if err == nil {
		return p, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("predictors %w", err)
	}
	if o.Embedded == nil {
		return nil, nil
	}
	data := o.Embedded(w.predictors())
	if data == nil {
		return nil, nil
	}
	return modelfile.Parse(data)
}
