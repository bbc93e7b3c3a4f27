package teach

import (
	"cmp"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"dynvit/camera/files"
	"dynvit/head"
)

// Picture is a file and the number of the class that it is an example of.
type Picture struct {
	Path  string
	Class int
}

// Examples are pictures by class: Labels in ascending order, Pictures by path.
type Examples struct {
	Labels   []string
	Pictures []Picture
	Aside    []string // pictures that no folder and no prefix gives a class
}

// MostPictures bounds what is listed: a picture takes some 20 KB of features.
const MostPictures = 20_000

// List finds the examples under dir. A folder in it is a class by its name, with all
// pictures in it and in folders below; where there is none, the class is what stands
// ahead of the first _ of a file's name. Names that begin with a dot are left out.
func List(dir string) (Examples, error) {
	byLabel := map[string][]string{}
	top := filepath.Clean(dir) + string(filepath.Separator) // else one that is named by a link is no folder
	count := 0
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch hidden := path != top && strings.HasPrefix(d.Name(), "."); {
		case err != nil:
			return err
		case hidden && d.IsDir():
			return fs.SkipDir
		case hidden || d.IsDir() || !files.IsPicture(path):
			return nil
		}
		if count++; count > MostPictures {
			return fmt.Errorf("%s: more than %d pictures", dir, MostPictures)
		}
		label := folderOf(top, path)
		byLabel[label] = append(byLabel[label], path)
		return nil
	})
	if err != nil {
		return Examples{}, err
	}
	return examples(dir, byLabel)
}

// folderOf is the folder right under top that a path is in, "" for a file of top itself.
func folderOf(top, path string) string {
	folder, _, below := strings.Cut(strings.TrimPrefix(path, top), string(filepath.Separator))
	if !below {
		return ""
	}
	return folder
}

func examples(dir string, byLabel map[string][]string) (e Examples, err error) {
	loose := byLabel[""]
	delete(byLabel, "")
	if len(byLabel) > 0 {
		e.Aside = loose
	} else {
		e.Aside = byPrefix(byLabel, loose)
	}
	for label := range byLabel {
		e.Labels = append(e.Labels, label)
	}
	slices.Sort(e.Labels)
	for class, label := range e.Labels {
		if err := head.CheckLabel(label); err != nil {
			return Examples{}, fmt.Errorf("%s: %w", dir, err)
		}
		for _, path := range byLabel[label] {
			e.Pictures = append(e.Pictures, Picture{path, class})
		}
	}
	slices.SortFunc(e.Pictures, func(a, b Picture) int { return cmp.Compare(a.Path, b.Path) })
	if err := e.check(); err != nil {
		return Examples{}, fmt.Errorf("%s: %w", dir, err)
	}
	return e, nil
}

// byPrefix sorts files by what stands ahead of the first _, and returns the others.
func byPrefix(byLabel map[string][]string, paths []string) (aside []string) {
	for _, path := range paths {
		if label, _, ok := strings.Cut(filepath.Base(path), "_"); ok && label != "" {
			byLabel[label] = append(byLabel[label], path)
		} else {
			aside = append(aside, path)
		}
	}
	return aside
}

// check wants what a comparison of classes needs.
func (e Examples) check() error {
	counts := e.counts()
	switch {
	case len(e.Pictures) == 0:
		return fmt.Errorf("no pictures (%s) in folders by class, or named CLASS_….jpg", files.Endings())
	case len(e.Labels) < 2:
		return fmt.Errorf("only the class %q: want two or more, one may be all that is not the other", e.Labels[0])
	case len(e.Labels) > head.MostLabels:
		return fmt.Errorf("%d classes: want at most %d", len(e.Labels), head.MostLabels)
	}
	for class, n := range counts {
		if n < leastPictures {
			return fmt.Errorf("class %q has %d pictures: want %d or more", e.Labels[class], n, leastPictures)
		}
	}
	return nil
}

// leastPictures of a class: one to learn from while another is held out.
const leastPictures = 2

// counts are the pictures of each class.
func (e Examples) counts() []int {
	counts := make([]int, len(e.Labels))
	for _, p := range e.Pictures {
		counts[p.Class]++
	}
	return counts
}
