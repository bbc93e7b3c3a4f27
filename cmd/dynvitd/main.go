// Command dynvitd classifies what cameras see with a token-pruned vision
// transformer. This folder parses flags and prints; the work is in the library
// packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"dynvit/calibrate"
	"dynvit/config"
	"dynvit/mdns"
)

// Exit codes, part of the interface.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitBudget = 3  // no setting meets the budget
	exitConfig = 78 // EX_CONFIG of sysexits.h
)

// usageError marks a bad flag or argument.
type usageError struct{ error }

func main() {
	net.DefaultResolver = mdns.Resolver()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code; an error is one line
// on stderr.
func run(ctx context.Context, args []string) int {
	root, out := newRoot(), &output{w: os.Stdout}
	root.SetArgs(args)
	root.SetOut(out)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.failure()
	}
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errReported) {
		complain(errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var usage usageError
	var wrong *config.Error
	var nothing *calibrate.NothingFits
	switch {
	case errors.As(err, &nothing):
		return exitBudget
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &wrong) && wrong.Flag:
		return exitUsage
	case errors.As(err, &wrong):
		return exitConfig
	}
	return exitFailed
}

// errReported ends a command whose errors are on stderr already.
var errReported = errors.New("reported")

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "dynvitd",
		Short:         "Classify camera frames with a token-pruned vision transformer",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("command %q is not known; `dynvitd help` lists them", args[0])}
			}
			return c.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newRun(), newClassify(), newEval(), newBench(), newCalibrate(), newVisualize(), newTeach(), newCapture(), newDevices(), newModel(), newConfig(), newHealthcheck(), newVersion())
	for _, c := range root.Commands() {
		asUsage(c)
	}
	root.SetHelpCommand(newHelp(root))
	return root
}

// newHelp is cobra's, but that a command which is not known is an error.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err == nil && len(rest) == 0 {
				return c.Help()
			}
			return usageError{fmt.Errorf("help: command %q is not known; `dynvitd help` lists them", strings.Join(args, " "))}
		},
	}
}

// asUsage makes wrong arguments usage errors, in a command and those below it.
func asUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{fmt.Errorf("%s: %w", c.Name(), err)}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		asUsage(sub)
	}
}
