package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// pictureRate is how many pictures of a folder are shown a second where the URI
// does not say.
const pictureRate = 1

// openFile tells picture, folder and film apart.
func openFile(s Spec, o Options) (Source, error) {
	info, err := os.Stat(s.target)
	switch {
	case err != nil:
		return nil, fmt.Errorf("source %s: %w", s.target, pathless(err))
	case info.IsDir():
		return openPictures(s, listFolder)
	case IsPicture(s.target):
		return openPictures(s, listOne)
	case isFilm(s.target):
		return openFilm(s, o)
	}
	return nil, fmt.Errorf("source %s: neither a folder, nor a picture (.jpg, .jpeg, .png), nor a film (%s)",
		s.target, strings.Join(filmEndings, ", "))
}

// pictures shows picture files one after another. A folder is listed anew on
// each round of a loop.
type pictures struct {
	lifetime
	pacer  pacer
	target string
	list   func(target string) ([]string, error)
	loop   bool
	paths  []string // not shown yet in this round
	shown  bool     // something was, in this round
	seq    uint64
}

func openPictures(s Spec, list func(string) ([]string, error)) (Source, error) {
	paths, err := list(s.target)
	if err != nil {
		return nil, err
	}
	return &pictures{
		lifetime: newLifetime(),
		pacer:    newPacer(s.options.rate(pictureRate)),
		target:   s.target,
		list:     list,
		loop:     s.options.loop,
		paths:    paths,
	}, nil
}

// listOne is a single picture that can be read.
func listOne(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", path, pathless(err))
	}
	return []string{path}, file.Close()
}

// listFolder finds the pictures of a folder and all folders in it, sorted by
// path; names that begin with a dot and linked folders are left out.
func listFolder(root string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		hidden := path != root && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil && path != root:
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
		return nil, fmt.Errorf("source %s: %w", root, pathless(err))
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("source %s: no pictures (.jpg, .jpeg, .png) in this folder", root)
	}
	return paths, nil
}

// Next shows the next picture when it is due. One that has vanished since it was
// listed is skipped; one that cannot be read, or is too large, comes empty, for
// the decoder to report like any damaged picture.
func (p *pictures) Next(ctx context.Context, f *Frame) error {
	if err := p.pacer.wait(ctx, &p.lifetime); err != nil {
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
		if err != nil {
			f.Data = f.Data[:0]
		}
		if f.Format = sniff(f.Data); f.Format == 0 {
			f.Format = formatByName(path)
		}
		p.seq++
		f.Seq, p.shown = p.seq, true
		return nil
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
	p.end()
	return nil
}
