// Package device is what the CUDA backend needs of a GPU: memory, kernels by name,
// copies, one queue, graphs. Package driver has it of CUDA's driver API; a test may have
// it of anything that runs PTX.
package device

import "fmt"

// Address is a place in the device's memory, in bytes; 0 is none.
type Address uint64

// Kernel and Graph are names that a Device gave.
type (
	Kernel uintptr
	Graph  uintptr
)

// Size is how many blocks a grid has, or threads a block, along x, y and z.
type Size [3]int

// MostArguments bounds what a kernel takes.
const MostArguments = 32

// Facts are what a device says of itself.
type Facts struct {
	Name         string
	Major, Minor int   // compute capability
	Driver       int   // CUDA's version that the driver implements, 1000·major + 10·minor
	Memory       int64 // bytes in all; on a board that the processor shares
	Processors   int   // streaming multiprocessors
	ClockMHz     int   // the processors' highest
}

// Device is a GPU with a queue of its own. What is queued (Launch, CopyIn, CopyOut,
// Clear, Replay) is done in order, some time before Wait returns, and its failures may
// surface in any later call. One goroutine uses a Device at a time, from any thread.
type Device interface {
	Facts() Facts
	// Load compiles PTX, whose entries Kernel then finds.
	Load(ptx string) error
	// Kernel finds an entry of what was loaded.
	Kernel(name string) (Kernel, error)
	// Alloc returns memory aligned to 256 bytes, of any content.
	Alloc(bytes int) (Address, error)
	// Host returns memory of this process that CopyIn and CopyOut reach while the
	// caller goes on.
	Host(bytes int) ([]byte, error)

	// Launch queues a kernel. args, at most MostArguments, are read before it returns:
	// an argument each, in the low bytes where it is shorter than 8.
	Launch(k Kernel, grid, block Size, args []uint64) error
	// CopyIn and CopyOut queue a copy. host is memory that Host returned.
	CopyIn(to Address, host []byte) error
	CopyOut(host []byte, from Address) error
	// Clear queues zeros.
	Clear(to Address, bytes int) error
	// Wait returns when all that was queued is done. The thread sleeps.
	Wait() error

	// Capture has do queue what Replay then queues as a whole, rather than have it done.
	Capture(do func()) (Graph, error)
	Replay(Graph) error
	FreeGraph(Graph) error

	// Close frees all that was made. It may be called twice.
	Close() error
}

// Error is a call that failed.
type Error struct {
	Call string // of the driver API, "cuMemAlloc"
	Code int    // CUresult
	Text string // what the driver says of the code
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (%d)", e.Call, e.Text, e.Code) }

// outOfMemory is CUDA_ERROR_OUT_OF_MEMORY.
const outOfMemory = 2

// NoMemory reports that the device's memory is used up.
func (e *Error) NoMemory() bool { return e.Code == outOfMemory }
