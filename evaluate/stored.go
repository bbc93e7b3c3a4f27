package evaluate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"

	"dynvit/camera"
	"dynvit/camera/files"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/regular"
	"dynvit/vit"
)

// Stored are the answers of another program, or of another day: logits by picture.
type Stored struct {
	Pictures []string             // paths, in the order of the file, else sorted
	Logits   map[string][]float32 // by path, one a class
	Labels   []string             // class names; nil where the file has none
	Turned   bool                 // pictures were turned as their Exif says: classify's lines
}

// maxStored bounds a file of stored answers, in bytes.
const maxStored = 64 << 20

// ReadStored reads one JSON object {"logits": {picture: [number…]…}, "labels": […]}, or
// the lines of `classify --json --logits`. Paths are relative to dir; where that is "", to the
// file's folder, and those that classify printed are as they stand.
func ReadStored(path, dir string) (Stored, error) {
	data, err := regular.Read(path, maxStored)
	if err != nil {
		return Stored{}, err
	}
	s := Stored{Logits: map[string][]float32{}}
	if err := s.parse(data, dir, filepath.Dir(path)); err != nil {
		return Stored{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *Stored) parse(data []byte, dir, beside string) error {
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var o struct {
			Image  string          `json:"image"`
			Logits json.RawMessage `json:"logits"`
			Labels []string        `json:"labels"`
		}
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("JSON: %w", err)
		}
		folder := dir
		if dir == "" && o.Image == "" {
			folder = beside
		}
		s.Turned = s.Turned || o.Image != ""
		if err := s.add(folder, o.Image, o.Logits); err != nil {
			return err
		}
		s.Labels = append(s.Labels, o.Labels...)
	}
	if len(s.Pictures) == 0 {
		return errors.New(`no logits: want {"logits": {picture: [number…]…}}, or what classify --json --logits prints`)
	}
	return nil
}

// add takes the logits of one picture, or of several by name.
func (s *Stored) add(dir, image string, raw json.RawMessage) error {
	one, several := []float32(nil), map[string][]float32{}
	switch {
	case raw == nil:
		return nil
	case image != "":
		if err := json.Unmarshal(raw, &one); err != nil {
			return fmt.Errorf("logits of %.80q: %w", image, err)
		}
		several[image] = one
	default:
		if err := json.Unmarshal(raw, &several); err != nil {
			return fmt.Errorf("logits: %w", err)
		}
	}
	first := len(s.Pictures)
	for name, logits := range several {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		s.Pictures = append(s.Pictures, path)
		s.Logits[path] = logits
	}
	slices.Sort(s.Pictures[first:])
	return nil
}

// Difference is how far a model is from stored logits of one picture.
type Difference struct {
	Picture     string
	Class, Want int     // the best
	Share       float64 // the largest difference of a logit, of the largest stored one
}

// Against runs a model densely on the pictures of stored answers, and compares.
func Against(e *engine.Engine, s Stored) ([]Difference, error) {
	for i, want := range s.Labels {
		if i >= e.Info().Classes || e.Label(i) != want {
			return nil, fmt.Errorf("class %d is %.60q where the logits were stored, and not here", i, want)
		}
	}
	plan, err := vit.PlanFor(1, e.Info().Patches, e.Info().Stages)
	if err != nil {
		return nil, err
	}
	var list []Difference
	var frame camera.Frame
	var r engine.Result
	for _, path := range s.Pictures {
		want := s.Logits[path]
		if err := files.ReadPicture(&frame, path); err != nil {
			return nil, err
		}
		err := e.Classify(&r, &frame, preprocess.Whole, plan)
		if err == nil && len(r.Logits) != len(want) {
			err = fmt.Errorf("%d logits are stored, the model gives %d", len(want), len(r.Logits))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, difference(path, r.Logits, want))
	}
	return list, nil
}

func difference(path string, got, want []float32) Difference {
	d := Difference{Picture: path, Class: best(got), Want: best(want)}
	largest, off := 0.0, 0.0
	for i, w := range want {
		largest = max(largest, math.Abs(float64(w)))
		off = max(off, math.Abs(float64(got[i])-float64(w)))
	}
	if off > 0 {
		d.Share = off / largest
	}
	return d
}

// best is the first of the largest numbers.
func best(v []float32) int {
	at := 0
	for i, x := range v {
		if x > v[at] {
			at = i
		}
	}
	return at
}
