package heif

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	_ "unsafe" // for go:linkname

	_ "github.com/gen2brain/avif" // for its WebAssembly
	_ "github.com/gen2brain/heic"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// The decoders are handed out by the modules only behind functions that bound neither
// memory nor work.
var (
	//go:linkname heicCode github.com/gen2brain/heic.heifWasm
	heicCode []byte
	//go:linkname avifCode github.com/gen2brain/avif.decodeWasm
	avifCode []byte
)

// program is a decoder's WebAssembly, compiled when it is first met: a second on a slow
// machine, and some 5 MB that are kept.
type program struct {
	name string
	code *[]byte
	once sync.Once

	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	err      error
}

var (
	libheif = &program{name: "libheif", code: &heicCode}
	libavif = &program{name: "libavif", code: &avifCode}
)

func (p *program) compile() {
	ctx := context.Background()
	unpacked, err := gzip.NewReader(bytes.NewReader(*p.code))
	if err != nil {
		p.err = err
		return
	}
	code, err := io.ReadAll(unpacked)
	if err != nil {
		p.err = err
		return
	}
	if code, p.err = metered(code); p.err != nil {
		return
	}
	p.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig())
	if _, p.err = wasi_snapshot_preview1.Instantiate(ctx, p.runtime); p.err == nil {
		p.compiled, p.err = p.runtime.CompileModule(ctx, code)
	}
	debug.FreeOSMemory() // tens of MB of the compiler's, ahead of a picture's
}

// instance is one picture's copy of a program, with memory of its own.
type instance struct {
	program *program
	module  api.Module
	memory  *memory
	fuel    api.MutableGlobal
}

// start instantiates the program with at most so many bytes of memory and so many turns
// of loops. Whoever starts one closes it.
func (p *program) start(limit, work int64) (*instance, error) {
	p.once.Do(p.compile)
	if p.err != nil {
		return nil, fmt.Errorf("compile %s: %w", p.name, p.err)
	}
	i := &instance{program: p, memory: &memory{}}
	allocator := experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory { return i.memory })
	if err := i.memory.reserve(limit); err != nil {
		return nil, err
	}
	ctx := experimental.WithMemoryAllocator(context.Background(), allocator)
	var err error
	// Without a name, and so without standard output and error: what the decoder
	// complains of is no line of ours.
	i.module, err = p.runtime.InstantiateModule(ctx, p.compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		i.close()
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	i.fuel = i.module.ExportedGlobal(fuelName).(api.MutableGlobal) // metered has put it there
	i.fuel.Set(uint64(work))
	return i, nil
}

// left is what it may still do, in loops; below 0 it has been stopped.
func (i *instance) left() int64 { return int64(i.fuel.Get()) }

// close gives the memory back, the pictures in it too.
func (i *instance) close() {
	if i.module != nil {
		i.module.Close(context.Background()) // frees the memory; nothing of the machine's is open
	}
	i.memory.Free()
}

// call calls a function of the program that returns one number.
func (i *instance) call(name string, args ...uint64) (uint32, error) {
	result, err := i.module.ExportedFunction(name).Call(context.Background(), args...)
	switch {
	case i.memory.short:
		return 0, fmt.Errorf("decoding it takes more than the %d MiB that a picture of its size does", len(i.memory.all)>>20)
	case i.left() < 0:
		return 0, errors.New("decoding it takes more work than a picture of its size does")
	case err != nil || len(result) != 1:
		return 0, errDamaged // the error has the stack of the decoder
	}
	return uint32(result[0]), nil
}

var errDamaged = errors.New("damaged, or of a kind that is not read")

// allocate is memory of the program's own.
func (i *instance) allocate(n int) (uint32, error) {
	at, err := i.call("malloc", uint64(n))
	if err == nil && at == 0 {
		err = errDamaged
	}
	return at, err
}

// put copies data into the program's memory.
func (i *instance) put(data []byte) (uint32, error) {
	at, err := i.allocate(len(data))
	if err == nil && !i.module.Memory().Write(at, data) {
		err = errDamaged
	}
	return at, err
}

// numbers reads n whole numbers.
func (i *instance) numbers(at uint32, n int) ([]int, error) {
	list := make([]int, n)
	for j := range list {
		v, ok := i.module.Memory().ReadUint32Le(at + uint32(4*j))
		if !ok {
			return nil, errDamaged
		}
		list[j] = int(v)
	}
	return list, nil
}
