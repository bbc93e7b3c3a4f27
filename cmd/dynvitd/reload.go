package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"

	"dynvit/config"
)

// hangups gives a value when SIGHUP came since the last one was taken. It ends the
// program no more from then on: systemd would take that for a clean end, and not
// start the daemon again.
func hangups() <-chan os.Signal {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return hangup
}

// named is the configuration's path where it alone names the node.
func (f *runFlags) named(flags *pflag.FlagSet) string {
	path, err := filepath.Abs(f.file)
	if f.file == "" || err != nil || flags.Changed("node") || os.Getenv(config.EnvName("node")) != "" {
		return ""
	}
	return path
}
