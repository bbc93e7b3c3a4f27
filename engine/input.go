package engine

import (
	"slices"

	"dynvit/camera"
	"dynvit/preprocess"
)

// Input is a frame as models want it, for engines that look at it one after another: of
// those that want the same the first one decodes. The zero Input is of no frame yet. One
// goroutine uses it at a time.
type Input struct{ made []made }

// made is an input in an engine's memory, as it is until that looks at another frame.
type made struct {
	spec    preprocess.Spec
	data    []float32 // nil: the session has it
	picture []byte    // that it was made of
	damaged bool
}

// Begin says that another frame, or another region of it, comes next.
func (i *Input) Begin() { i.made = i.made[:0] }

// prepare decodes and preprocesses a frame, unless another engine has done it.
func (e *Engine) prepare(r *Result, f *camera.Frame, region preprocess.Region) (made, error) {
	shared := r.Shared
	if shared != nil {
		if at := slices.IndexFunc(shared.made, func(m made) bool { return m.spec == e.spec }); at >= 0 {
			return shared.made[at], nil
		}
	}
	if err := e.decode(r.Watcher, f, region); err != nil {
		return made{}, err
	}
	if shared == nil && !r.WantPicture && e.resizer.resize(e.session.Input(), e.pre) {
		return made{spec: e.spec, damaged: e.pre.Damaged()}, nil
	}
	e.pre.Render(e.input)
	m := made{e.spec, e.input, e.pre.RGB(), e.pre.Damaged()}
	if shared != nil {
		shared.made = append(shared.made, m)
	}
	return m, nil
}
