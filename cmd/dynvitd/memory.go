package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"dynvit/machine"
)

// limitMemory has Go's heap keep below what the control group allows, but for a
// tenth that is for what Go does not count: pages of files, children. Whoever set
// GOMEMLIMIT knows better.
func limitMemory(log *slog.Logger) {
	limit := machine.At(os.DirFS("/")).MemoryLimit()
	if limit == 0 || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit -= limit / 10
	debug.SetMemoryLimit(limit)
	log.Info("memory is limited by the control group", "heap_mib", limit>>20)
}
