package main

import (
	"runtime"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases.
var version = "0.1.0-dev"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			printLine(c.OutOrStdout(), "dynvitd %s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
