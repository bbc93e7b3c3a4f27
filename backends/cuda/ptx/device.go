package ptx

import (
	"errors"
	"fmt"
	"slices"

	"dynvit/backends/cuda/device"
)

// Device is a device.Device whose kernels the interpreter runs. All that is queued is
// done when Wait is called, as late as a GPU may: what has changed in host memory
// meanwhile is copied as it is then.
type Device struct {
	Stats    Stats // of all launches
	Launches int

	facts   device.Facts
	memory  Memory
	seed    uint64
	modules []*Module
	kernels []*Kernel
	queue   []func() error
	graphs  map[device.Graph][]func() error
	last    device.Graph
	capture bool
	closed  bool
	failed  error // the first fault, which every call returns from then on
}

// NewDevice returns a device of a compute capability. seed is of the order in which
// blocks and threads run.
func NewDevice(major, minor int, seed uint64) *Device {
	f := device.Facts{Name: "interpreter", Major: major, Minor: minor, Driver: 13000, Memory: 8e9}
	return &Device{facts: f, seed: seed, graphs: map[device.Graph][]func() error{}}
}

// Codes of the driver API.
const (
	invalidValue = 1
	notFound     = 500
	launchFailed = 719
	inCapture    = 900
)

func failure(call string, code int, format string, args ...any) error {
	return &device.Error{Call: call, Code: code, Text: fmt.Sprintf(format, args...)}
}

// ready says why a call cannot be done. Some may not be made while a capture goes on.
func (d *Device) ready(call string, whileCapturing bool) error {
	switch {
	case d.failed != nil:
		return d.failed
	case d.closed:
		return failure(call, launchFailed, "the device is closed")
	case d.capture && !whileCapturing:
		return failure(call, inCapture, "while capturing")
	}
	return nil
}

func (d *Device) Facts() device.Facts { return d.facts }

func (d *Device) Load(text string) error {
	if err := d.ready("load", false); err != nil {
		return err
	}
	m, err := Parse(text)
	if err != nil {
		return err
	}
	var major, minor int
	if _, err := fmt.Sscanf(m.Target, "sm_%1d%1d", &major, &minor); err != nil || 10*major+minor > 10*d.facts.Major+d.facts.Minor {
		return failure("load", 209, "PTX for %s on a device of %d.%d", m.Target, d.facts.Major, d.facts.Minor)
	}
	d.modules = append(d.modules, m)
	return nil
}

func (d *Device) Kernel(name string) (device.Kernel, error) {
	for _, m := range d.modules {
		if k := m.Kernel(name); k != nil {
			d.kernels = append(d.kernels, k)
			return device.Kernel(len(d.kernels)), nil
		}
	}
	return 0, failure("kernel", notFound, "no kernel %s", name)
}

func (d *Device) Alloc(bytes int) (device.Address, error) {
	if err := d.ready("alloc", false); err != nil {
		return 0, err
	}
	return device.Address(d.memory.Alloc(bytes)), nil
}

func (d *Device) Host(bytes int) ([]byte, error) {
	return make([]byte, bytes), d.ready("host", false)
}

// enqueue keeps what is to be done, in a capture or until Wait.
func (d *Device) enqueue(call string, do func() error) error {
	if err := d.ready(call, true); err != nil {
		return err
	}
	d.queue = append(d.queue, do)
	return nil
}

func (d *Device) Launch(k device.Kernel, grid, block device.Size, args []uint64) error {
	if k < 1 || int(k) > len(d.kernels) {
		return failure("launch", invalidValue, "no kernel %d", k)
	}
	how := Launch{Grid: Size(grid), Block: Size(block), Args: slices.Clone(args)}
	return d.enqueue("launch", func() error {
		d.seed++
		d.Launches++
		now := how
		now.Seed = d.seed
		s, err := d.kernels[k-1].Run(&d.memory, now)
		d.Stats.Add(s)
		return err
	})
}

func (d *Device) CopyIn(to device.Address, host []byte) error {
	return d.enqueue("copy in", func() error { return d.memory.Write(uint64(to), host) })
}

func (d *Device) CopyOut(host []byte, from device.Address) error {
	return d.enqueue("copy out", func() error { return d.memory.Read(uint64(from), host) })
}

func (d *Device) Clear(to device.Address, bytes int) error {
	return d.enqueue("clear", func() error { return d.memory.Clear(uint64(to), bytes) })
}

func (d *Device) Wait() error {
	if err := d.ready("wait", false); err != nil {
		return err
	}
	queue := d.queue
	d.queue = nil
	if err := each(queue); err != nil {
		d.failed = failure("launch", launchFailed, "%v", err)
	}
	return d.failed
}

func each(list []func() error) error {
	for _, do := range list {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Device) Capture(do func()) (device.Graph, error) {
	if err := d.ready("capture", false); err != nil {
		return 0, err
	}
	before := d.queue
	d.queue, d.capture = nil, true
	do()
	d.last++
	d.graphs[d.last] = d.queue
	d.queue, d.capture = before, false
	return d.last, nil
}

func (d *Device) Replay(g device.Graph) error {
	steps, ok := d.graphs[g]
	if !ok {
		return failure("replay", invalidValue, "no graph %d", g)
	}
	return d.enqueue("replay", func() error { return each(steps) })
}

func (d *Device) FreeGraph(g device.Graph) error {
	if _, ok := d.graphs[g]; !ok {
		return failure("free graph", invalidValue, "no graph %d", g)
	}
	delete(d.graphs, g)
	return d.ready("free graph", false)
}

func (d *Device) Close() error {
	if d.closed {
		return nil
	}
	var err error
	if len(d.graphs) > 0 {
		err = errors.New("graphs were not freed")
	}
	d.closed = true
	return err
}
