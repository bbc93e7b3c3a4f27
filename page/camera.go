package page

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dynvit/messages"
)

const (
	// pictureQuality is image/jpeg's: 8 kB for 224×224 pixels.
	pictureQuality = 80
	// pictureWait is how long who asks for a picture waits for a camera's next frame.
	pictureWait = 5 * time.Second
	// mostPictures may be asked for at once; one too many gets 503.
	mostPictures = 32
)

// camera is what is known of one camera. The page's mutex guards it.
type camera struct {
	view                     // of the one model that looks at it, or of the first
	further map[string]*view // by their models' names; nil: none

	rgb      []byte // nil: nobody watches, or no frame came since
	seq      uint64 // of rgb
	survived []byte // a digit a patch: the stages that it outlived
	into     []byte // a number a patch: the one that it was merged into, itself if it was not; empty where none are
	stages   int
	jpeg     []byte // of the frame jpegSeq; never written to again
	jpegSeq  uint64
}

// view is what a model says of a camera.
type view struct {
	report  messages.Report
	engine  messages.Engine
	version uint64            // of the report, 0 while nobody watched
	encoder *messages.Encoder // of engine; nil until somebody watches
	payload []byte            // the report encoded, in the encoder's memory
	encoded uint64            // the version that it is of

	history history
}

// of is the view that a frame belongs to.
func (c *camera) of(f *Frame) *view {
	if !f.Further {
		return &c.view
	}
	v := c.further[f.Report.Model]
	if v == nil {
		if c.further == nil {
			c.further = map[string]*view{}
		}
		v = new(view)
		c.further[f.Report.Model] = v
	}
	return v
}

// take copies what a frame says.
func (v *view) take(f *Frame) {
	v.report.CopyFrom(f.Report)
	if v.engine != f.Engine {
		v.engine, v.encoder = f.Engine, nil
	}
}

// show copies what is shown of a frame, by the first model.
func (c *camera) show(f *Frame) {
	if f.Picture == nil || f.Further {
		return
	}
	c.rgb, c.seq, c.stages = append(c.rgb[:0], f.Picture...), f.Report.Seq, len(f.Kept)
	c.survived = survivors(c.survived, f.Patches, f.Kept)
	c.into = targets(c.into, f.Patches, f.Groups)
}

// digits are of base 36: a model of more stages has not been seen.
const digits = "0123456789abcdefghijklmnopqrstuvwxyz"

// survivors writes for each patch how many stages it outlived.
func survivors(into []byte, patches int, kept [][]int32) []byte {
	into = append(into[:0], bytes.Repeat([]byte{digits[0]}, patches)...)
	for stage, ids := range kept {
		for _, id := range ids {
			if int(id) < patches {
				into[id] = digits[min(stage+1, len(digits)-1)]
			}
		}
	}
	return into
}

// targets writes for each patch which one it was merged into, in base 36, each number as long as
// that of the last patch. With the stages that it outlived that is all there is to know: at any
// stage a patch lives on in whom it was merged into, or whom that was merged into, and so on.
func targets(into []byte, patches int, groups [][]int32) []byte {
	into = into[:0]
	if len(groups) == 0 {
		return into
	}
	width := len(strconv.FormatInt(int64(max(0, patches-1)), len(digits)))
	for id := range patches {
		to := int64(id)
		for _, of := range groups {
			if id < len(of) && of[id] != int32(id) {
				to = max(int64(of[id]), -1)
				break
			}
		}
		if to < 0 { // dropped
			to = int64(id)
		}
		number := strconv.FormatInt(to, len(digits))
		into = append(into, strings.Repeat(digits[:1], max(0, width-len(number)))...)
		into = append(into, number...)
	}
	return into
}

// forget lets go of pictures, which would be old when somebody watches again.
func (c *camera) forget() {
	c.rgb, c.seq, c.survived, c.into, c.jpeg, c.jpegSeq = nil, 0, nil, nil, nil, 0
	c.payload, c.encoded = nil, 0
	for _, v := range c.further {
		v.payload, v.encoded = nil, 0
	}
}

// keep forgets further models that are configured no more.
func (c *camera) keep(models []string) {
	for name := range c.further {
		if len(models) < 2 || !slices.Contains(models[1:], name) {
			delete(c.further, name)
		}
	}
}

// event is the report's payload as the topic frame has it, valid until the next frame.
func (v *view) event(now time.Time) []byte {
	if v.encoder == nil {
		v.encoder, v.payload = messages.NewEncoder(v.engine, ""), nil
	}
	if v.payload == nil || v.encoded != v.version {
		v.payload, v.encoded = v.encoder.Report(&v.report, now), v.version
	}
	return v.payload
}

// shot is a picture as it is sent.
type shot struct {
	jpeg     []byte
	seq      uint64
	survived string
	into     string
	stages   int
}

// picture answers with the newest picture of a camera: what the model was shown.
func (p *Page) picture(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("camera")
	if _, is := p.source.Settings().Cameras[name]; !is {
		http.Error(w, fmt.Sprintf("no camera %.60q", name), http.StatusNotFound)
		return
	}
	release, ok := slot(w, p.pictures)
	if !ok {
		return
	}
	defer release()
	defer p.watch()()
	s, err := p.shot(r, name)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("ETag", fmt.Sprintf(`"%d-%d"`, p.started.UnixNano(), s.seq))
	h.Set("Dynvit-Seq", fmt.Sprint(s.seq))
	h.Set("Dynvit-Stages", fmt.Sprint(s.stages))
	h.Set("Dynvit-Survived", s.survived)
	if s.into != "" {
		h.Set("Dynvit-Into", s.into)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.jpeg))
}

// shot waits for a camera's picture, where there is none yet.
func (p *Page) shot(r *http.Request, name string) (shot, error) {
	over := time.NewTimer(p.pictureWait)
	defer over.Stop()
	for {
		s, changed, err := p.newest(name)
		if err != nil || s.jpeg != nil {
			return s, err
		}
		select {
		case <-changed:
		case <-over.C:
			return s, fmt.Errorf("camera %s: no frame in %v", name, p.pictureWait)
		case <-r.Context().Done():
			return s, r.Context().Err()
		case <-p.ctx.Done():
			return s, p.ctx.Err()
		}
	}
}

// newest encodes the newest picture, unless that is done already; none where there is
// none yet, and what tells of a change.
func (p *Page) newest(name string) (s shot, changed <-chan struct{}, err error) {
	p.encoding.Lock()
	defer p.encoding.Unlock()
	p.mu.Lock()
	changed = p.changed
	c := p.cameras[name]
	if c == nil || c.rgb == nil {
		p.mu.Unlock()
		return s, changed, nil
	}
	s = shot{seq: c.seq, survived: string(c.survived), into: string(c.into), stages: c.stages}
	if c.jpegSeq == c.seq {
		s.jpeg = c.jpeg
		p.mu.Unlock()
		return s, changed, nil
	}
	p.encoding.load(c.rgb)
	p.mu.Unlock()
	if s.jpeg, err = p.encoding.jpeg(); err != nil {
		return s, changed, err
	}
	p.encoded.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.seq >= s.seq { // not forgotten meanwhile
		c.jpeg, c.jpegSeq = s.jpeg, s.seq
	}
	return s, changed, nil
}

// encoder makes pictures, one at a time.
type encoder struct {
	sync.Mutex
	img image.RGBA
	buf bytes.Buffer
}

// load takes a copy of a square picture.
func (e *encoder) load(rgb []byte) {
	side := int(math.Sqrt(float64(len(rgb) / 3)))
	if e.img.Rect.Dx() != side {
		e.img = *image.NewRGBA(image.Rect(0, 0, side, side))
	}
	for i := range side * side {
		copy(e.img.Pix[4*i:], rgb[3*i:3*i+3])
		e.img.Pix[4*i+3] = 255
	}
}

// jpeg encodes what was loaded.
func (e *encoder) jpeg() ([]byte, error) {
	e.buf.Reset()
	if err := jpeg.Encode(&e.buf, &e.img, &jpeg.Options{Quality: pictureQuality}); err != nil {
		return nil, err
	}
	return bytes.Clone(e.buf.Bytes()), nil
}
