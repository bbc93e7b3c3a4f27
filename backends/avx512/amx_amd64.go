//go:build !purego

package avx512

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/cpuid/v2"
	"golang.org/x/sys/unix"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// matrix is which products AMX carries, and what to say of it where it is there or was asked for.
type matrix struct {
	int8, bf16 bool
	why        string
}

// vectorsOfTiles is how many products of vectors one of full tiles is as much as.
const vectorsOfTiles = 16 * 16

// heightsTiles: tiles' shapes are data, so that every height is one.
var heightsTiles = func() (all []int) {
	for n := 1; n <= tileCols; n++ {
		all = append(all, n)
	}
	return all
}()

// detect uses AMX where DYNVIT_AMX is 1: the kernels are held to an interpreter of its instructions, and no
// processor has been seen to run them. Some virtual machines are said to lose tiles when a thread is
// descheduled, so that one must be seen to keep them, too.
func detect(o backends.Options) matrix {
	missing := host.Require(o, cpuid.AMXTILE, cpuid.AMXINT8, cpuid.AVX512VNNI)
	wanted := os.Getenv("DYNVIT_AMX") == "1"
	switch {
	case missing != nil && !wanted:
		return matrix{}
	case missing != nil:
		return matrix{why: ", no AMX: " + strings.TrimPrefix(missing.Error(), backends.ErrUnavailable.Error()+": ")}
	case !wanted:
		return matrix{why: ", AMX off: not seen on hardware yet, DYNVIT_AMX=1 turns it on"}
	}
	if err := permitted(); err != nil {
		return matrix{why: ", no AMX: " + err.Error()}
	}
	return matrix{int8: true, bf16: host.Require(o, cpuid.AMXBF16, cpuid.AVX512BF16) == nil}
}

// permitted asks the kernel, once, to let all threads of the process use tiles
// (docs.kernel.org/arch/x86/xstate.html).
var permitted = sync.OnceValue(func() error {
	auxv, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return err
	}
	if err := signalStack(auxv); err != nil {
		return err
	}
	const request, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
	if _, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, request, tileData, 0); errno != 0 {
		return fmt.Errorf("the kernel refuses tiles: %w", errno)
	}
	return nil
})

// signalStack reports whether a frame of a signal that has tiles, about 11 KiB, leaves Go's handler room: the runtime
// gives it stacks of 32 KiB (mpreinit of runtime/os_linux.go). The kernel checks that a frame fits at all. It
// says in auxv how large the largest may be, 0 before Linux 5.14, which has no tiles either.
func signalStack(auxv []byte) error {
	const minimum, most = 51, 16 << 10 // AT_MINSIGSTKSZ
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		size := binary.NativeEndian.Uint64(auxv[8:])
		if binary.NativeEndian.Uint64(auxv) == minimum && size > most {
			return fmt.Errorf("frames of signals have %d bytes, more than half of Go's stack for them", size)
		}
	}
	return nil
}
