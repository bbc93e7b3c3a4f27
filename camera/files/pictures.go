package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"

	"dynvit/camera"
	"dynvit/camera/internal/lifetime"
	"dynvit/camera/internal/picture"
	"dynvit/regular"
)

// pictureRate is how many pictures are shown a second where the URI does not say.
const pictureRate = 1

// pictures shows picture files one after another. A folder is listed anew on
// each round of a loop.
type pictures struct {
	lifetime.Lifetime
	pacer  lifetime.Pacer
	target string // picture or folder
	list   func(target string) ([]string, error)
	loop   bool
	paths  []string // not shown yet in this round
	shown  bool     // something was, in this round
	seq    uint64
	log    *slog.Logger    // nil: none
	named  map[string]bool // what was passed over, and named in the log
}

func openPictures(t *target, o camera.Options, list func(string) ([]string, error)) (camera.Source, error) {
	paths, err := list(t.path)
	if err != nil {
		return nil, err
	}
	return &pictures{
		Lifetime: lifetime.New(),
		pacer:    lifetime.NewPacer(t.rate.Or(pictureRate)),
		target:   t.path,
		list:     list,
		loop:     t.loop,
		paths:    paths,
		log:      o.Log,
		named:    map[string]bool{},
	}, nil
}

// listOne is a single picture that can be read.
func listOne(path string) ([]string, error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", path, regular.Pathless(err))
	}
	return []string{path}, file.Close()
}

// listFolder finds the pictures of a folder and all folders in it, sorted by
// path; names that begin with a dot and linked folders in it are left out.
func listFolder(root string) ([]string, error) {
	var paths []string
	top := root + string(filepath.Separator) // else one that is named by a link is no folder
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		hidden := path != top && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil && path != top:
			return nil // a folder inside that went away or is not ours to read
		case err != nil:
			return err
		case hidden && d.IsDir():
			return fs.SkipDir
		case !hidden && !d.IsDir() && IsPicture(path):
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", root, regular.Pathless(err))
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("source %s: no pictures (%s) in this folder", root, Endings())
	}
	return paths, nil
}

// Next shows the next picture when it is due. One that has vanished since it was
// listed is skipped, and so is what is no file, with a line in the log; one that
// cannot be read, or is too large, comes empty, for the decoder to report like any
// damaged picture.
func (p *pictures) Next(ctx context.Context, f *camera.Frame) error {
	if err := p.pacer.Wait(ctx, &p.Lifetime); err != nil {
		return err
	}
	for {
		path, err := p.pick()
		if err != nil {
			return err
		}
		err = readFile(f, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, regular.ErrIrregular) || errors.Is(err, syscall.EISDIR) {
			p.passOver(path, err)
			continue
		}
		if err != nil {
			f.Data = f.Data[:0]
		}
		if f.Format = picture.Format(f.Data); f.Format == 0 {
			f.Format = cmp.Or(formatByName(path), camera.JPEG)
		}
		p.seq++
		f.Seq, p.shown = p.seq, true
		return nil
	}
}

// passOver names what is not shown, once.
func (p *pictures) passOver(path string, why error) {
	if p.log != nil && !p.named[path] {
		p.named[path] = true
		p.log.Warn("picture passed over", "err", why)
	}
}

// pick is the next path; io.EOF after the last.
func (p *pictures) pick() (string, error) {
	if len(p.paths) == 0 {
		if !p.loop {
			return "", io.EOF
		}
		if !p.shown {
			return "", fmt.Errorf("source %s: its pictures have vanished", p.target)
		}
		var err error
		if p.paths, err = p.list(p.target); err != nil {
			return "", err
		}
		p.shown = false
	}
	path := p.paths[0]
	p.paths = p.paths[1:]
	return path, nil
}

// Close ends the source.
func (p *pictures) Close() error {
	p.End()
	return nil
}
