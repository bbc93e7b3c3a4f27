package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"dynvit/machine"
	"dynvit/orphans"
	"dynvit/systemd"
)

// settle makes the process a good citizen of where it runs, until ctx ends.
func settle(ctx context.Context, log *slog.Logger) {
	signal.Ignore(syscall.SIGPIPE) // a stderr that went away does not end the daemon; stdout is looked after
	limitMemory(log)
	if os.Getpid() == 1 {
		go orphans.Reap(ctx)
	}
}

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

// serviceManager is who the environment says watches over the daemon; nobody where
// that cannot be spoken to: the variables may be another program's, inherited.
func serviceManager(log *slog.Logger) *systemd.Notifier {
	notify, err := systemd.New(os.Getenv)
	if err != nil {
		log.Warn("service manager not told: the environment names one that is not there", "err", err)
		return new(systemd.Notifier)
	}
	return notify
}
