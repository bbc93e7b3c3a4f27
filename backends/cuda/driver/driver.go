//go:build cuda

// Package driver has a device.Device of CUDA's driver API, by gorgonia.org/cu and, for
// what that lacks, calls of its own (calls.h). Both link the shim in ../_shim, which
// finds the driver's library when Open is called, so that a program runs without one.
package driver

// #cgo CFLAGS: -I${SRCDIR}/../_shim
// #include "calls.h"
// #include "shim.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"unsafe"

	"gorgonia.org/cu"

	"dynvit/backends/cuda/device"
)

// Library is the driver's, as the system's loader finds it.
const Library = "libcuda.so.1"

// opening is held while the shim looks for the library, which only one may do at a time.
var opening sync.Mutex

// Open finds the driver and makes a context on its first device. An error says in one
// line what is missing.
func Open(library string) (*Device, error) {
	if err := load(library); err != nil {
		return nil, err
	}
	n, err := cu.NumDevices()
	if err != nil {
		return nil, failed("cuDeviceGetCount", err)
	}
	if n == 0 {
		return nil, errors.New("the NVIDIA driver finds no GPU")
	}
	d := &Device{}
	if err := d.open(); err != nil {
		d.Close() // what it says of being left is no news
		return nil, err
	}
	return d, nil
}

// load leads the driver API to the library.
func load(library string) error {
	opening.Lock()
	defer opening.Unlock()
	var why [512]C.char
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	switch code := C.shim_open(path, &why[0], C.size_t(len(why))); code {
	case 0:
		return nil
	case C.shim_no_library:
		return fmt.Errorf("no NVIDIA driver: %s", C.GoString(&why[0]))
	default:
		return fmt.Errorf("the NVIDIA driver does not start: %w", &device.Error{Call: "cuInit", Code: int(code), Text: C.GoString(&why[0])})
	}
}

// Device is the first GPU. It implements device.Device.
type Device struct {
	facts   device.Facts
	context cu.CUContext
	stream  cu.Stream
	modules []cu.Module
	queue   C.queue
	launch  launch
}

func (d *Device) open() error {
	first, err := cu.GetDevice(0)
	if err != nil {
		return failed("cuDeviceGet", err)
	}
	if err := d.describe(first); err != nil {
		return err
	}
	if err := d.makeContext(first); err != nil {
		return err
	}
	return d.on(func() error {
		d.stream, err = cu.MakeStream(cu.NonBlocking)
		d.queue.stream = *(*C.CUstream)(unsafe.Pointer(&d.stream))
		return failed("cuStreamCreate", err)
	})
}

// makeContext leaves the new context to no thread: each call takes it up (calls.h, on).
func (d *Device) makeContext(gpu cu.Device) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if d.context, err = gpu.MakeContext(cu.SchedBlockingSync); err != nil {
		return failed("cuCtxCreate", err)
	}
	d.queue.context = *(*C.CUcontext)(unsafe.Pointer(&d.context))
	_, err = cu.PopCurrentCtx()
	return failed("cuCtxPopCurrent", err)
}

// describe asks for the facts.
func (d *Device) describe(gpu cu.Device) (err error) {
	f := &d.facts
	if f.Driver = cu.Version(); f.Driver < 0 {
		return errors.New("cuDriverGetVersion failed")
	}
	if f.Name, err = gpu.Name(); err != nil {
		return failed("cuDeviceGetName", err)
	}
	if f.Memory, err = gpu.TotalMem(); err != nil {
		return failed("cuDeviceTotalMem", err)
	}
	for _, a := range []struct {
		of   cu.DeviceAttribute
		into *int
	}{
		{cu.ComputeCapabilityMajor, &f.Major}, {cu.ComputeCapabilityMinor, &f.Minor}, {cu.MultiprocessorCount, &f.Processors},
		{cu.ClockRate, &f.ClockMHz},
	} {
		if *a.into, err = gpu.Attribute(a.of); err != nil {
			return failed("cuDeviceGetAttribute", err)
		}
	}
	f.ClockMHz /= 1000
	return nil
}

func (d *Device) Facts() device.Facts { return d.facts }

// on does something with the context on this thread.
func (d *Device) on(do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(d.context); err != nil {
		return failed("cuCtxSetCurrent", err)
	}
	return do()
}

func (d *Device) Load(ptx string) error {
	return d.on(func() error {
		m, err := cu.LoadData(ptx)
		if err != nil {
			return failed("cuModuleLoadData", err)
		}
		d.modules = append(d.modules, m)
		return nil
	})
}

func (d *Device) Kernel(name string) (k device.Kernel, err error) {
	err = d.on(func() error {
		var f cu.Function
		err := error(cu.NotFound)
		for i := 0; i < len(d.modules) && err == cu.NotFound; i++ {
			f, err = d.modules[i].Function(name)
		}
		k = *(*device.Kernel)(unsafe.Pointer(&f))
		if err != nil {
			return fmt.Errorf("kernel %s: %w", name, failed("cuModuleGetFunction", err))
		}
		return nil
	})
	return k, err
}

func (d *Device) Alloc(bytes int) (at device.Address, err error) {
	err = d.on(func() error {
		p, err := cu.MemAlloc(int64(bytes))
		at = device.Address(p)
		return failed("cuMemAlloc", err)
	})
	return at, err
}

func (d *Device) Host(bytes int) ([]byte, error) {
	var memory unsafe.Pointer
	if err := check("cuMemHostAlloc", C.pinned(&d.queue, &memory, C.size_t(bytes))); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(memory), bytes), nil
}

// Close ends the context, and with it all that was made in it, page-locked memory too.
func (d *Device) Close() error {
	if d.context == (cu.CUContext{}) {
		return nil
	}
	err := failed("cuCtxDestroy", d.context.Destroy())
	*d = Device{facts: d.facts}
	return err
}

// failed is what a function of gorgonia.org/cu returned, with its code.
func failed(call string, err error) error {
	if err == nil {
		return nil
	}
	code := 0
	if v := reflect.ValueOf(err); v.CanInt() { // cu's errors are CUresults of a type that it keeps to itself
		code = int(v.Int())
	}
	return &device.Error{Call: call, Code: code, Text: text(code)}
}

// check is what a call of ours returned.
func check(call string, code C.CUresult) error {
	if code == 0 {
		return nil
	}
	return &device.Error{Call: call, Code: int(code), Text: text(int(code))}
}

// text is what the driver says of a code.
func text(code int) string {
	var name *C.char
	if C.cuGetErrorString(C.CUresult(code), &name) != 0 || name == nil {
		return "unknown error"
	}
	return C.GoString(name)
}
