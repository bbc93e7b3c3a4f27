//go:build cuda

package driver

// #include "calls.h"
import "C"

import (
	"runtime"
	"unsafe"

	"dynvit/backends/cuda/device"
)

// What a frame does. But for Capture nothing here allocates.

// launch is a launch's numbers, where C may read them.
type launch struct {
	grid, block [3]C.int
	args        [device.MostArguments]C.uint64_t
}

func (d *Device) Launch(k device.Kernel, grid, block device.Size, args []uint64) error {
	l := &d.launch
	for i := range 3 {
		l.grid[i], l.block[i] = C.int(grid[i]), C.int(block[i])
	}
	for i, a := range args {
		l.args[i] = C.uint64_t(a)
	}
	f := *(*C.CUfunction)(unsafe.Pointer(&k))
	return check("cuLaunchKernel", C.launch(&d.queue, f, &l.grid[0], &l.block[0], &l.args[0], C.int(len(args))))
}

func (d *Device) CopyIn(to device.Address, host []byte) error {
	return check("cuMemcpyHtoDAsync", C.copy_in(&d.queue, C.CUdeviceptr(to), unsafe.Pointer(unsafe.SliceData(host)), C.size_t(len(host))))
}

func (d *Device) CopyOut(host []byte, from device.Address) error {
	return check("cuMemcpyDtoHAsync", C.copy_out(&d.queue, unsafe.Pointer(unsafe.SliceData(host)), C.CUdeviceptr(from), C.size_t(len(host))))
}

func (d *Device) Clear(to device.Address, bytes int) error {
	return check("cuMemsetD8Async", C.clear(&d.queue, C.CUdeviceptr(to), C.size_t(bytes)))
}

func (d *Device) Wait() error { return check("cuStreamSynchronize", C.wait(&d.queue)) }

func (d *Device) Capture(do func()) (device.Graph, error) {
	runtime.LockOSThread() // a capture ends on the thread where it began
	defer runtime.UnlockOSThread()
	if err := check("cuStreamBeginCapture", C.begin_capture(&d.queue)); err != nil {
		return 0, err
	}
	do()
	var g C.CUgraphExec
	if err := check("cuStreamEndCapture", C.end_capture(&d.queue, &g)); err != nil {
		return 0, err
	}
	return *(*device.Graph)(unsafe.Pointer(&g)), nil
}

func (d *Device) Replay(g device.Graph) error {
	return check("cuGraphLaunch", C.replay(&d.queue, graph(g)))
}

func (d *Device) FreeGraph(g device.Graph) error {
	return check("cuGraphExecDestroy", C.free_graph(&d.queue, graph(g)))
}

func graph(g device.Graph) C.CUgraphExec { return *(*C.CUgraphExec)(unsafe.Pointer(&g)) }
