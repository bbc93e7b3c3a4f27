package lineup

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"

	"dynvit/config"
	"dynvit/engine"
	"dynvit/messages"
	"dynvit/tuning"
	"dynvit/vit"
)

// Opener opens a classifier.
type Opener func(engine.Options) (tuning.Classifier, error)

// Inspector reads what a model's files say of it.
type Inspector func(engine.Options) (engine.Outline, error)

// Source is where models come from.
type Source struct {
	Open    Opener
	Inspect Inspector // nil: no two models share a pass
	Store   []string  // folders of named models
}

// Lineup is all models that a configuration wants, open. It does not change: another
// configuration has another, with the same passes and models as far as it wants them.
type Lineup struct {
	Passes []*Pass           // the node's own model's first, where a camera has it
	Models []*Model          // the node's own likewise
	models map[string]*Model // by the configuration's name
}

// Open opens all models that cameras want: of those that can share a pass one alone. One
// that a camera names and that cannot be opened is a *config.Error of the camera's key.
func Open(c *config.Config, from Source) (*Lineup, error) {
	return new(Lineup).Renew(c, from)
}

// Renew is the lineup of another configuration: what is open stays as it is, heads that
// were taught are read anew, what is missing is opened. Nothing of l is closed.
func (l *Lineup) Renew(c *config.Config, from Source) (*Lineup, error) {
	next := &Lineup{models: map[string]*Model{}}
	wishes, err := l.inspected(c, from)
	if err != nil {
		return nil, err
	}
	for _, w := range wishes {
		if err := next.take(w, wishes, l, from.Open); err != nil {
			return nil, errors.Join(w.invalid(err), next.CloseBut(l))
		}
	}
	return next, nil
}

// Check reads the files of the models that cameras name, without opening any, and holds
// the labels of cameras to theirs. Of the node's own model a file that cannot be read is
// no error: another box may have it.
func Check(c *config.Config, inspect Inspector, store []string) error {
	l := &Lineup{models: map[string]*Model{}}
	for _, w := range wantedBy(c) {
		found, err := inspect(Options(c, w.name, store))
		if err == nil {
			l.models[w.name] = &Model{Name: found.Name, head: found.Head}
		} else if !w.node() {
			return w.invalid(err)
		}
	}
	for _, camera := range c.CameraNames() {
		if slices.ContainsFunc(c.ModelsOf(camera), func(m config.Model) bool { return l.models[m.Name] == nil }) {
			continue
		}
		if _, err := l.views(c, camera); err != nil {
			return err
		}
	}
	return nil
}

// take makes a wish true.
func (l *Lineup) take(w *wish, all []*wish, before *Lineup, opener Opener) error {
	m, err := l.find(w, all, before, opener)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(l.Models, func(have *Model) bool { return have.Name == m.Name })
	switch {
	case i < 0:
		l.add(m)
	case m.sha256 == "" || l.Models[i].sha256 != m.sha256:
		l.Passes = append(l.Passes, m.Pass) // to be closed
		return fmt.Errorf("another model is called %s too, and names tell them apart: rename the file", m.Name)
	default: // one file, named in two ways
		if !slices.Contains(l.Passes, m.Pass) && !slices.Contains(before.Passes, m.Pass) {
			m.Pass.Close() // nothing was run on it
		}
		m = l.Models[i]
	}
	if w.node() {
		m.Pass.Node.Store(true)
	}
	l.models[w.name] = m
	return nil
}

// find is the model of a wish: one that there was before, or of a pass that can be
// shared, or of one that is opened.
func (l *Lineup) find(w *wish, all []*wish, before *Lineup, opener Opener) (*Model, error) {
	if had := before.models[w.name]; had != nil && (!had.taught || w.SHA256 == had.sha256) {
		return had, nil
	}
	for _, p := range append(slices.Clone(l.Passes), before.Passes...) {
		if p.serves(w) {
			return w.model(p), nil
		}
	}
	p, err := open(carrier(w, all).options, opener)
	if err != nil {
		return nil, err
	}
	p.of = w.Pass
	return w.model(p), nil
}

// serves reports whether the models of a wish and of an open pass share it.
func (p *Pass) serves(w *wish) bool {
	return w.Pass != "" && p.of == w.Pass && p.asked.Alike(w.options) && (w.Head != nil || p.asked.Model == w.name)
}

// carrier is which of the wishes that can share a pass is opened: one that cannot answer
// from features, else the first.
func carrier(w *wish, all []*wish) *wish {
	for _, other := range all {
		if w.Head != nil && other.Pass == w.Pass && other.Head == nil && other.options.Alike(w.options) {
			return other
		}
	}
	return w
}

func (l *Lineup) add(m *Model) {
	l.Models = append(l.Models, m)
	if !slices.Contains(l.Passes, m.Pass) {
		l.Passes = append(l.Passes, m.Pass)
	}
}

// wish is a model that is wanted.
type wish struct {
	name, key string // the configuration's; "" for the key of the node's own
	options   engine.Options
	engine.Outline
}

func (w *wish) node() bool { return w.key == "" }

// model is what a pass makes of a wish. A taught head answers beside the pass even where
// it is what was opened, so that another may take its place.
func (w *wish) model(p *Pass) *Model {
	if w.Pass == "" || p.asked.Model == w.name && !w.Taught {
		return &Model{Name: p.Opened.Model, Pass: p, sha256: p.Opened.SHA256}
	}
	p.read.Store(true)
	return &Model{Name: w.Name, Pass: p, sha256: w.SHA256, head: w.Head, taught: w.Taught}
}

// invalid says where a model was named that is wrong.
func (w *wish) invalid(err error) error {
	if w.node() {
		return err
	}
	return config.Invalid(w.key, "%w", err)
}

// inspected lists the models that cameras want, with what the files say of those that are
// not open, or were taught. A node's only model is opened without, for that reads it twice.
func (l *Lineup) inspected(c *config.Config, from Source) ([]*wish, error) {
	list := wantedBy(c)
	for _, w := range list {
		w.options = Options(c, w.name, from.Store)
	}
	if from.Inspect == nil || len(l.Passes) == 0 && len(list) == 1 && list[0].node() && !engine.Taught(list[0].options) {
		return list, nil
	}
	for _, w := range list {
		if had := l.models[w.name]; had != nil && !had.taught {
			continue
		}
		var err error
		if w.Outline, err = from.Inspect(w.options); err != nil {
			return nil, w.invalid(err)
		}
	}
	l.tell(list, from.Inspect)
	return list, nil
}

// tell finds out what open passes are of, where that was not needed before and there are
// models now that may share them.
func (l *Lineup) tell(list []*wish, inspect Inspector) {
	if !slices.ContainsFunc(list, func(w *wish) bool { return w.Pass != "" }) {
		return
	}
	for _, p := range l.Passes {
		if p.of == "" {
			out, _ := inspect(p.asked) // where its file is gone nothing shares it
			p.of = out.Pass
		}
	}
}

// wantedBy lists the models that cameras want, each once, the node's own first.
func wantedBy(c *config.Config) (list []*wish) {
	for _, camera := range c.CameraNames() {
		for _, m := range c.ModelsOf(camera) {
			w := &wish{name: m.Name, key: modelsKey(c, camera)}
			if m.Name == c.Model {
				w.key = ""
			}
			switch {
			case slices.ContainsFunc(list, func(have *wish) bool { return have.name == w.name }):
			case w.node():
				list = slices.Insert(list, 0, w)
			default:
				list = append(list, w)
			}
		}
	}
	return list
}

// modelsKey is the key that says which models look at a camera.
func modelsKey(c *config.Config, camera string) string {
	if len(c.Cameras[camera].Models) > 0 {
		return "cameras." + camera + ".models"
	}
	return "cameras." + camera + ".model"
}

// Options are how a model is opened by a configuration. Predictors are the node's own
// model's.
func Options(c *config.Config, name string, store []string) engine.Options {
	o := engine.Options{
		Model: name, Scorer: c.Scorer, Backend: c.Backend, Precision: c.Precision, Threads: c.Threads, Store: store, Scaled: true,
	}
	if name == c.Model {
		o.Predictors = c.Predictors
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	return o
}

// Close closes all.
func (l *Lineup) Close() error { return l.CloseBut(new(Lineup)) }

// CloseBut closes what another lineup does not have.
func (l *Lineup) CloseBut(other *Lineup) error {
	var all []error
	for _, p := range l.Passes {
		if !slices.Contains(other.Passes, p) {
			all = append(all, p.Close())
		}
	}
	return errors.Join(all...)
}

// Engines are what looks at the frames now, one a model. They may be asked for by any
// goroutine.
func (l *Lineup) Engines() (list []messages.Engine) {
	for _, m := range l.Models {
		e := LooksOf(m.Pass.Info())
		e.Model = m.Name
		if !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	return list
}

// Names lists the models in words.
func (l *Lineup) Names() string { return join(l.Models, ", ") }

// Warm runs a drawn frame on each pass that another lineup, which may run, does not have.
func (l *Lineup) Warm(ctx context.Context, a Asked, running *Lineup) error {
	for _, p := range l.Passes {
		if slices.Contains(running.Passes, p) {
			continue
		}
		if err := p.warm(ctx, a.Plans[p].Plan); err != nil {
			return err
		}
	}
	for _, m := range l.Models {
		if slices.Contains(running.Passes, m.Pass) {
			continue
		}
		if _, err := m.Answer(); err != nil {
			return fmt.Errorf("model %s: first inference: %w", m.Name, err)
		}
	}
	return nil
}

// Asked is what a configuration asks of the models, in their own terms.
type Asked struct {
	Plans   map[*Pass]Plan
	Cameras map[string][]View
}

// Plan is what latency.keep comes to.
type Plan struct {
	vit.Plan
	Ratio float64
}

// View is a model as it looks at a camera.
type View struct {
	*Model
	Camera config.Camera // with what is another for this model
	Wanted []bool        // which classes count; nil: all
}

// Passes are those that views need, each once.
func Passes(views []View) (list []*Pass) {
	for _, v := range views {
		if !slices.Contains(list, v.Pass) {
			list = append(list, v.Pass)
		}
	}
	return list
}

// ShortSide is how large pictures must be for the passes, in pixels.
func ShortSide(passes []*Pass) (side int) {
	for _, p := range passes {
		side = max(side, p.Opened.ShortSide)
	}
	return side
}

// Ask turns what the configuration that the lineup was opened for asks of the models into
// their own terms. What they cannot do is a *config.Error.
func (l *Lineup) Ask(c *config.Config) (a Asked, err error) {
	a = Asked{Plans: map[*Pass]Plan{}, Cameras: map[string][]View{}}
	for _, p := range l.Passes {
		plan, err := p.Plan(c.Latency.Keep)
		if err != nil {
			return a, config.Invalid("latency.keep", "%w", l.of(p, err))
		}
		a.Plans[p] = Plan{plan, p.Ratio(c.Latency.Keep, plan)}
	}
	for _, camera := range c.CameraNames() {
		if a.Cameras[camera], err = l.views(c, camera); err != nil {
			return a, err
		}
	}
	return a, nil
}

// of names the model that an error is about, where there are several.
func (l *Lineup) of(p *Pass, err error) error {
	if len(l.Passes) == 1 {
		return err
	}
	return fmt.Errorf("model %s: %w", p.Opened.Model, err)
}

// views are the models of a camera.
func (l *Lineup) views(c *config.Config, camera string) (list []View, err error) {
	cam, key := c.Cameras[camera], modelsKey(c, camera)
	var models []*Model
	for _, m := range c.ModelsOf(camera) {
		found := l.models[m.Name]
		if found == nil {
			panic("lineup: asked of another configuration than it was opened for: model " + m.Name)
		}
		models = append(models, found)
	}
	if err := checkNames(models); err != nil {
		return nil, config.Invalid(key, "%w", err)
	}
	if err := l.checkLabels(c, camera, models); err != nil {
		return nil, err
	}
	for i, m := range c.ModelsOf(camera) {
		own := cam.For(m)
		if len(own.Labels) > 0 {
			own.Labels = models[i].Labels(own.Labels)
		}
		list = append(list, View{models[i], own, models[i].wanted(own.Labels)})
	}
	return list, nil
}

// checkLabels holds the labels of a camera, and those of its models, to what the
// models have.
func (l *Lineup) checkLabels(c *config.Config, camera string, models []*Model) error {
	key := "cameras." + camera
	var by []*Model // those that go by the camera's own
	for i, m := range c.ModelsOf(camera) {
		if m.Labels == nil {
			by = append(by, models[i])
			continue
		}
		if err := checkLabels(m.Labels, models[i]); err != nil {
			return config.Invalid(key+".models."+m.Name+".labels", "%w", err)
		}
	}
	if len(by) == 0 {
		return nil
	}
	if err := checkLabels(c.Cameras[camera].Labels, by...); err != nil {
		return config.Invalid(key+".labels", "%w", err)
	}
	return nil
}

var topicWord = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// checkNames holds the names of several models of a camera to what their topics need.
func checkNames(models []*Model) error {
	for i, m := range models {
		switch {
		case len(models) == 1:
		case !topicWord.MatchString(m.Name):
			return fmt.Errorf("model %q: want a name of letters, digits, _, . and -, since topics carry it: rename the file", m.Name)
		case slices.ContainsFunc(models[:i], func(o *Model) bool { return o.Name == m.Name }):
			return fmt.Errorf("two models have the name %s, by which topics tell them apart: rename a file", m.Name)
		}
	}
	return nil
}
