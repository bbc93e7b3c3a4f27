package visualize

import (
	"context"
	"fmt"

	"dynvit/evaluate"
)

// FolderOptions say which pictures of a folder are looked at and shown.
type FolderOptions struct {
	Dir      string
	Limit    int // pictures looked at, spread evenly; 0 = all
	Show     int // of these on the page, spread evenly
	Progress func(done, total int)
	Failed   func(path string, err error) // a picture that cannot be read is skipped
}

// Folder looks at the pictures of a folder and makes a page of them. That none
// could be read is an error.
func (v *Viewer) Folder(ctx context.Context, o FolderOptions) (*Page, error) {
	list, err := evaluate.List(o.Dir, func(string) int { return -1 })
	if err != nil {
		return nil, err
	}
	list = evaluate.Spread(list, o.Limit)
	page := &Page{Title: o.Dir}
	for i, picture := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := v.onto(page, picture.Path, shown(i, len(list), o.Show)); err != nil {
			page.Skipped++
			if o.Failed != nil {
				o.Failed(picture.Path, err)
			}
		}
		if o.Progress != nil {
			o.Progress(i+1, len(list))
		}
	}
	if page.Tally.Looks == 0 {
		return nil, fmt.Errorf("%s: none of %d pictures could be read", o.Dir, page.Skipped)
	}
	return page, nil
}

// onto looks at a picture and counts it.
func (v *Viewer) onto(page *Page, path string, show bool) error {
	l, err := v.see(path)
	if err == nil && show {
		err = v.show(l)
	}
	if err == nil && show {
		err = page.Show(l)
	}
	if err != nil {
		return err
	}
	page.Tally.Add(l)
	page.Tokens = l.Result.Tokens
	return nil
}

// shown reports whether the i-th of n is among show that are spread evenly.
func shown(i, n, show int) bool {
	show = min(show, n)
	return i*show/n != (i+1)*show/n
}
