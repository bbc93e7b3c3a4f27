// Package capture keeps pictures that cameras took as examples for dynvitd teach, in
// folders by camera and label: FOLDER/door/open/20261129T021533.123Z.jpg.
//
// Camera names, labels and picture names come from outside. They are checked, and what is
// beyond the folder cannot be reached by any of them, links included (os.Root). A
// [Folder] is bounded in bytes: the oldest pictures make room, and are counted.
package capture

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"dynvit/head"
)

// MostBytes is what a camera's pictures may take: some 1,500 of 1280×720.
const MostBytes = 256 << 20

// mostLabels a camera may have.
const mostLabels = 100

// Picture is one that was kept.
type Picture struct {
	Camera, Label, Name string
	Bytes               int64
}

// Folder holds the pictures of all cameras. It is safe for concurrent use.
type Folder struct {
	dir  string
	most int64

	mu   sync.Mutex
	sums map[string]int64 // bytes by camera, as far as known
}

// New is the folder dir, made by the first picture, with room for so many bytes a camera.
func New(dir string, most int64) *Folder {
	return &Folder{dir: dir, most: most, sums: map[string]int64{}}
}

// Lengths are bounded beside the patterns: {1,100} alone takes 100 KB.
var (
	cameraName  = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	pictureName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*\.jpg$`)
)

const (
	longestCamera  = 100
	longestPicture = 101 + len(".jpg")
)

func isPicture(name string) bool {
	return len(name) <= longestPicture && pictureName.MatchString(name)
}

func check(camera, label string) error {
	if len(camera) > longestCamera || !cameraName.MatchString(camera) {
		return fmt.Errorf("camera %.40q: want letters, digits, _ and -", camera)
	}
	return head.CheckLabel(label)
}

// Add keeps a JPEG that was taken at a time, and returns its name and how many older
// pictures of the camera had to go for it: of the label that has most bytes, so that
// no label is lost to another one.
func (f *Folder) Add(camera, label string, at time.Time, jpeg []byte) (name string, dropped int, err error) {
	if err := check(camera, label); err != nil {
		return "", 0, err
	}
	if int64(len(jpeg)) > f.most {
		return "", 0, fmt.Errorf("picture of %d bytes: there is room for %d", len(jpeg), f.most)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	root, err := f.open(true)
	if err != nil {
		return "", 0, err
	}
	defer root.Close()
	if dropped, err = f.makeRoom(root, camera, label, int64(len(jpeg))); err != nil {
		return "", dropped, err
	}
	if name, err = write(root, path.Join(camera, label), at, jpeg); err != nil {
		return "", dropped, err
	}
	f.sums[camera] += int64(len(jpeg))
	return name, dropped, nil
}

// open opens the folder; one that is not there is made where it is to be.
func (f *Folder) open(make bool) (*os.Root, error) {
	if make {
		if err := os.MkdirAll(f.dir, 0o755); err != nil {
			return nil, err
		}
	}
	return os.OpenRoot(f.dir)
}

// write makes a file of a new name, whole or not at all.
func write(root *os.Root, folder string, at time.Time, jpeg []byte) (name string, err error) {
	if err := root.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	part := path.Join(folder, fmt.Sprintf(".part-%d", os.Getpid()))
	if err := root.WriteFile(part, jpeg, 0o666); err != nil {
		return "", errors.Join(err, gone(root.Remove(part)))
	}
	stem := at.UTC().Format("20060102T150405.000Z")
	for i := 1; ; i++ {
		name = stem + ".jpg"
		if i > 1 {
			name = fmt.Sprintf("%s-%d.jpg", stem, i)
		}
		err := root.Link(part, path.Join(folder, name)) // unlike a rename it replaces nothing
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return name, errors.Join(err, gone(root.Remove(part)))
	}
}

// gone takes it for no error that what is to be removed is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// makeRoom removes pictures of a camera until n bytes more fit.
func (f *Folder) makeRoom(root *os.Root, camera, label string, n int64) (dropped int, err error) {
	sum, known := f.sums[camera]
	if known && sum+n <= f.most && exists(root, path.Join(camera, label)) {
		return 0, nil
	}
	list, labels, err := pictures(root, camera)
	if err != nil {
		return 0, err
	}
	if !slices.Contains(labels, label) && len(labels) >= mostLabels {
		return 0, fmt.Errorf("label %q: camera %s has %d already", label, camera, mostLabels)
	}
	byLabel := map[string]int64{}
	sum = 0
	for _, p := range list {
		byLabel[p.Label] += p.Bytes
		sum += p.Bytes
	}
	for sum+n > f.most {
		i := slices.IndexFunc(list, func(p Picture) bool { return p.Label == largest(byLabel) })
		p := list[i]
		if err := gone(root.Remove(path.Join(camera, p.Label, p.Name))); err != nil {
			return dropped, err
		}
		list, dropped = slices.Delete(list, i, i+1), dropped+1
		byLabel[p.Label] -= p.Bytes
		sum -= p.Bytes
	}
	f.sums[camera] = sum
	return dropped, nil
}

func exists(root *os.Root, folder string) bool {
	_, err := root.Stat(folder)
	return err == nil
}

// largest is the label of most bytes, of two the first by name.
func largest(byLabel map[string]int64) (label string) {
	for l, n := range byLabel {
		if label == "" || n > byLabel[label] || n == byLabel[label] && l < label {
			label = l
		}
	}
	return label
}

// List finds the pictures of a camera, the oldest first, and its labels in ascending order,
// those without pictures among them.
func (f *Folder) List(camera string) (list []Picture, labels []string, err error) {
	if err := check(camera, "any"); err != nil {
		return nil, nil, err
	}
	root, err := f.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	return pictures(root, camera)
}

func pictures(root *os.Root, camera string) (list []Picture, labels []string, err error) {
	entries, err := fs.ReadDir(root.FS(), camera)
	if gone(err) != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		label := e.Name()
		if !e.IsDir() || head.CheckLabel(label) != nil {
			continue // none of ours
		}
		labels = append(labels, label)
		files, err := fs.ReadDir(root.FS(), path.Join(camera, label))
		if err != nil {
			return nil, nil, err
		}
		for _, file := range files {
			info, err := file.Info()
			if err == nil && info.Mode().IsRegular() && isPicture(file.Name()) {
				list = append(list, Picture{camera, label, file.Name(), info.Size()})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Picture) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Label, b.Label)) })
	return list, labels, nil
}

// check reports a picture whose names are none of ours.
func (p Picture) check() error {
	if !isPicture(p.Name) || strings.Contains(p.Name, "..") {
		return fmt.Errorf("picture %.60q: want the name of one that was kept", p.Name)
	}
	return check(p.Camera, p.Label)
}

func (p Picture) path() string { return path.Join(p.Camera, p.Label, p.Name) }

// Read returns a picture's JPEG.
func (f *Folder) Read(p Picture) ([]byte, error) {
	var data []byte
	err := f.with(p, func(root *os.Root) (err error) {
		data, err = root.ReadFile(p.path())
		return err
	})
	return data, err
}

// Remove deletes a picture.
func (f *Folder) Remove(p Picture) error {
	return f.with(p, func(root *os.Root) error {
		delete(f.sums, p.Camera)
		return root.Remove(p.path())
	})
}

// Move gives a picture another label, under which its name is the same.
func (f *Folder) Move(p Picture, label string) error {
	if err := head.CheckLabel(label); err != nil {
		return err
	}
	return f.with(p, func(root *os.Root) error {
		to := path.Join(p.Camera, label)
		if err := root.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if to = path.Join(to, p.Name); to == p.path() {
			return nil
		}
		if err := root.Link(p.path(), to); err != nil {
			return err
		}
		return root.Remove(p.path())
	})
}

// with does something to a picture that is a file of its own.
func (f *Folder) with(p Picture, do func(root *os.Root) error) error {
	if err := p.check(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	root, err := f.open(false)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(p.path())
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("picture %s: no file", p.path())
	}
	return do(root)
}

// Path is where the examples of a camera are, for teach.List.
func (f *Folder) Path(camera string) (string, error) {
	if err := check(camera, "any"); err != nil {
		return "", err
	}
	return path.Join(f.dir, camera), nil
}
