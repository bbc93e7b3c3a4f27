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
	m.moments.begin()
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
	run     *launch
	number  int
	threads []thread
	shared  sharedMemory
}

func newBlock(l *launch) *block {
	n := l.how.Block.count()
	b := &block{run: l, threads: make([]thread, n), shared: newShared(l.kernel.Shared)}
	slots := make([]uint64, n*len(l.kernel.first))
	for i := range b.threads {
		t := &b.threads[i]
		t.block, t.number = b, i
		t.r, slots = slots[:len(l.kernel.first):len(l.kernel.first)], slots[len(l.kernel.first):]
	}
	return b
}

// begin sets the block up as number i of the grid.
func (b *block) begin(i int) {
	b.number = i
	b.shared.forget()
	l := b.run
	where := l.how.Grid.at(i)
	for j := range b.threads {
		t := &b.threads[j]
		*t = thread{r: t.r, block: b, number: j}
		copy(t.r, l.kernel.first)
		me := l.how.Block.at(j)
		for k := range 3 {
			t.r[k], t.r[3+k] = uint64(me[k]), uint64(l.how.Block[k])
			t.r[6+k], t.r[9+k] = uint64(where[k]), uint64(l.how.Grid[k])
		}
		t.r[12] = uint64(j % lanes)
		for k, p := range l.kernel.params {
			t.r[len(specials)+k] = l.how.Args[k] & p.mask()
		}
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
	for !b.done() {
		went := false
		for _, w := range b.run.random.Perm((len(b.threads) + lanes - 1) / lanes) {
			warp := b.threads[w*lanes : min((w+1)*lanes, len(b.threads))]
			went = b.runWarp(warp) || went
		}
		if !went && !b.meet() {
			b.stuck()
		}
	}
	return nil
}

func (b *block) done() bool {
	for i := range b.threads {
		if !b.threads[i].done {
			return false
		}
	}
	return true
}

// runWarp runs the threads of a warp that can, then what they wait for together.
func (b *block) runWarp(warp []thread) (went bool) {
	for _, i := range b.run.random.Perm(len(warp)) {
		if t := &warp[i]; !t.done && t.waits == forNothing {
			t.run(b.run.kernel.program)
			went = true
		}
	}
	return b.gangs(warp) || went
}

// meet lets a block's threads pass a barrier, at which all of them must be.
func (b *block) meet() bool {
	for i := range b.threads {
		if b.threads[i].waits != forBlock {
			return false
		}
	}
	for i := range b.threads {
		t := &b.threads[i]
		t.waits = forNothing
		t.pc++
		t.past(1, 0)
	}
	return true
}

// stuck says who waits for whom.
func (b *block) stuck() {
	var first *thread
	waiting, done := 0, 0
	for i := range b.threads {
		t := &b.threads[i]
		switch {
		case t.done:
			done++
		default:
			waiting++
			if first == nil {
				first = t
			}
		}
	}
	first.fail("%d threads wait for ever, %d have returned", waiting, done)
}

func (b *block) fault(w wrong) *Fault {
	in := b.run.kernel.program[w.t.pc]
	return &Fault{
		Kernel: b.run.kernel.Name, Line: in.line, Code: in.code, What: w.what,
		Block: b.run.how.Grid.at(b.number), Thread: b.run.how.Block.at(w.t.number),
	}
}

// sharedMemory is a block's.
type sharedMemory struct {
	data  []byte
	known []bool
	seen  shadow
}

func newShared(n int) sharedMemory {
	return sharedMemory{data: make([]byte, n), known: make([]bool, n)}
}

func (s *sharedMemory) forget() {
	clear(s.known)
	clear(s.seen.cells)
}

func (s *sharedMemory) access(t *thread, at uint64, n int, writes bool) []byte {
	if at+uint64(n) > uint64(len(s.data)) || at > uint64(len(s.data)) {
		t.fail("%d bytes at %d of %d of shared memory", n, at, len(s.data))
	}
	note(t, &s.seen, s.known, int(at), n, writes, false)
	return s.data[at : at+uint64(n)]
}
