package ptx

import (
	"fmt"
	"math/rand/v2"
)

// launch is one that runs.
type launch struct {
	kernel *Kernel
	memory *Memory
	how    Launch
	most   int
	random *rand.Rand
	stats  Stats
	floor  stamp // its first
}

// Run does a launch from start to end. A *Fault says what the kernel did wrong; memory
// is then as it was left.
func (k *Kernel) Run(m *Memory, how Launch) (Stats, error) {
	if err := k.check(how); err != nil {
		return Stats{}, fmt.Errorf("%s: %w", k.Name, err)
	}
	l := &launch{kernel: k, memory: m, how: how, most: how.Steps, random: rand.New(rand.NewPCG(how.Seed, 0x70747))}
	if l.most == 0 {
		l.most = 100e6
	}
	l.floor = m.begin()
	b := newBlock(l)
	for _, i := range l.random.Perm(how.Grid.count()) {
		if fault := b.runs(i); fault != nil {
			return l.stats, fault
		}
	}
	return l.stats, nil
}

// The limits of a launch on every device.
const (
	mostThreads = 1024
	mostShared  = 48 << 10 // without asking for more
	mostBlocks  = 1 << 24  // here; devices take 2^31
)

func (k *Kernel) check(how Launch) error {
	if len(how.Args) != len(k.params) {
		return fmt.Errorf("%d arguments, want %d", len(how.Args), len(k.params))
	}
	for i := range how.Block {
		if how.Grid[i] < 1 || how.Block[i] < 1 || how.Grid[i] > mostBlocks || how.Block[i] > mostThreads {
			return fmt.Errorf("grid %v, block %v", how.Grid, how.Block)
		}
		if k.Threads[i] > 0 && how.Block[i] > k.Threads[i] {
			return fmt.Errorf("block %v, more than .maxntid %v", how.Block, k.Threads)
		}
	}
	if how.Block.count() > mostThreads || how.Grid.count() > mostBlocks || k.Shared > mostShared {
		return fmt.Errorf("grid %v, block %v, %d bytes of shared memory", how.Grid, how.Block, k.Shared)
	}
	return nil
}

// block is the block that runs; it is used for one after another.
type block struct {
	run           *launch
	number        int
	warps         []warp
	order         []int // of warps, drawn anew each time
	left, waiting int   // threads that have not returned; those that wait at a barrier
	floor, phase  stamp // its first, and that of the present phase
	shared        tracked
}

func newBlock(l *launch) *block {
	n, slots := l.how.Block.count(), len(l.kernel.first)
	b := &block{run: l, warps: make([]warp, (n+lanes-1)/lanes), shared: newTracked(l.kernel.Shared)}
	r := make([][lanes]uint64, len(b.warps)*slots)
	for i := range b.warps {
		w := &b.warps[i]
		w.block, w.first, w.count = b, i*lanes, min(n-i*lanes, lanes)
		w.r, r = r[:slots:slots], r[slots:]
		w.know()
		b.order = append(b.order, i)
	}
	return b
}

// know sets slots that are the same in every block of a launch.
func (w *warp) know() {
	l := w.block.run
	for i, v := range l.kernel.first {
		w.fill(i, v)
	}
	for k := range 3 {
		w.fill(3+k, uint64(l.how.Block[k]))
		w.fill(9+k, uint64(l.how.Grid[k]))
	}
	for k, p := range l.kernel.params {
		w.fill(len(specials)+k, l.how.Args[k]&p.mask())
	}
	for i := range w.count {
		me := l.how.Block.at(w.first + i)
		for k := range 3 {
			w.r[k][i] = uint64(me[k])
		}
		w.r[12][i] = uint64(i)
		w.order[i] = uint8(i)
	}
}

// begin sets the block up as number i of the grid.
func (b *block) begin(i int) {
	b.number, b.left, b.waiting = i, b.run.how.Block.count(), 0
	clear(b.shared.known)
	b.floor = b.run.memory.nextStamp()
	b.passes(b.floor)
	for i := range b.warps {
		b.warps[i].begin()
	}
}

// passes begins a phase.
func (b *block) passes(phase stamp) {
	b.phase = phase
	for i := range b.warps {
		b.warps[i].passes(phase)
	}
}

// runs has the block run to its end.
func (b *block) runs(number int) (fault error) {
	b.begin(number)
	defer func() {
		switch w := recover().(type) {
		case nil:
		case wrong:
			fault = b.fault(w)
		default:
			panic(w)
		}
	}()
	for b.left > 0 {
		went := false
		b.run.random.Shuffle(len(b.order), func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
		for _, i := range b.order {
			went = b.warps[i].goes() || went
		}
		if !went && !b.meet() {
			b.stuck()
		}
	}
	return nil
}

// meet lets a block's threads pass a barrier, at which all of them must be.
func (b *block) meet() bool {
	if b.waiting < b.run.how.Block.count() {
		return false
	}
	b.waiting = 0
	b.passes(b.run.memory.nextStamp())
	for i := range b.warps {
		w := &b.warps[i]
		for j := range w.lane[:w.count] {
			w.lane[j].waits = next
			w.lane[j].pc++
		}
	}
	return true
}

// stuck says how many wait, at the first of them.
func (b *block) stuck() {
	for i := range b.warps {
		w := &b.warps[i]
		for j := range w.lane[:w.count] {
			if w.lane[j].waits != returned {
				w.pc = w.lane[j].pc
				w.fail(uint8(j), "%d threads wait for ever, %d have returned", b.left, b.run.how.Block.count()-b.left)
			}
		}
	}
}

func (b *block) fault(w wrong) *Fault {
	in := b.run.kernel.program[w.pc]
	return &Fault{
		Kernel: b.run.kernel.Name, Line: in.line, Code: in.code, What: w.what,
		Block: b.run.how.Grid.at(b.number), Thread: b.run.how.Block.at(w.thread),
	}
}
