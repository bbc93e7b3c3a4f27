package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/daemon"
	"dynvit/engine"
	"dynvit/vit"
)

// What flags for them take, for their help.
var (
	scorerNames    = strings.Join(vit.ScorerNames(), ", ")
	precisionNames = strings.Join(append([]string{"auto"}, backends.PrecisionNames()...), ", ")
)

// modelFlags are the flags that every command with a model shares.
type modelFlags struct {
	engine.Options
	keep string
	json bool
	v    bool
}

func (f *modelFlags) register(c *cobra.Command) {
	f.registerShared(c)
	c.Flags().IntVar(&f.Threads, "threads", 0, "threads (default: all usable cores)")
}

// registerShared leaves out what some commands take several times.
func (f *modelFlags) registerShared(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.Model, "model", "", "model: a name in the store or a path to .safetensors (default: the embedded one)")
	flags.StringVar(&f.Predictors, "predictors", "", "file with trained predictors to add to the model")
	flags.StringVar(&f.Scorer, "scorer", "auto", "what makes a patch worth keeping: "+scorerNames)
	flags.StringVar(&f.Backend, "backend", "auto", "auto, or a `name` that dynvitd devices lists")
	flags.BoolVar(&f.json, "json", false, "JSON on stdout, one object a line")
	flags.BoolVarP(&f.v, "verbose", "v", false, "say more on stderr")
}

// registerOne adds the flags that bench repeats and the others give once.
func (f *modelFlags) registerOne(c *cobra.Command, precision, keep string) {
	c.Flags().StringVar(&f.Precision, "precision", precision, "precision: "+precisionNames)
	c.Flags().StringVar(&f.keep, "keep", keep, "share of patches kept a stage, or counts such as 127,95,63; 1 = dense")
}

// check finds bad values before a model is read.
func (f *modelFlags) check() error {
	if f.Precision != "" && f.Precision != "auto" {
		if _, err := backends.ParsePrecision(f.Precision); err != nil {
			return usageError{fmt.Errorf("--%w", err)}
		}
	}
	if err := vit.CheckScorer(f.Scorer); err != nil {
		return usageError{fmt.Errorf("--%w", err)}
	}
	if f.Threads < 0 || f.Threads > 1024 {
		return usageError{fmt.Errorf("--threads %d: want 1 to 1024", f.Threads)}
	}
	if err := checkBackend(f.Backend); err != nil {
		return err
	}
	if f.Threads == 0 {
		f.Threads = runtime.GOMAXPROCS(0)
	}
	return nil
}

func checkBackend(name string) error {
	if name != "auto" && !slices.Contains(backends.Names(), name) {
		return usageError{fmt.Errorf("--backend %q: want auto or one that `dynvitd devices` lists", name)}
	}
	return nil
}

// open opens the engine and turns --keep into a plan.
func (f *modelFlags) open() (*engine.Engine, vit.Keep, vit.Plan, error) {
	if err := f.check(); err != nil {
		return nil, vit.Keep{}, vit.Plan{}, err
	}
	keep, err := vit.ParseKeep(f.keep)
	if err != nil {
		return nil, keep, vit.Plan{}, usageError{fmt.Errorf("--%w", err)}
	}
	f.Store = modelStore()
	e, err := engine.Open(f.Options, all.List())
	if err != nil {
		return nil, keep, vit.Plan{}, err
	}
	plan, err := e.Plan(keep)
	if err != nil {
		e.Close()
		return nil, keep, plan, usageError{fmt.Errorf("--%w", err)}
	}
	return e, keep, plan, nil
}

// stateDir is what outlives a restart: systemd's folder, else the user's; "" where
// the environment names neither, which is no reason to write into whatever the
// working directory is.
func stateDir() string {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); dir != "" {
		return dir
	}
	if dir := userDir(os.Getenv("XDG_STATE_HOME"), ".local", "state"); dir != "" {
		return filepath.Join(dir, "dynvit")
	}
	return ""
}

// userDir is a folder of the XDG base directories, "" where it is not known.
// Relative paths count as none
// (https://specifications.freedesktop.org/basedir-spec/latest/).
func userDir(given string, belowHome ...string) string {
	if filepath.IsAbs(given) {
		return given
	}
	home := os.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(append([]string{home}, belowHome...)...)
}

// modelStore is where named models lie: where they are imported to, and last the folder
// of heads that the live page has taught. It is empty where the first is not known.
func modelStore() []string {
	list := importStore()
	if state := stateDir(); state != "" && len(list) > 0 {
		list = append(list, filepath.Join(state, daemon.TaughtFolder))
	}
	return list
}

// importStore is $DYNVIT_MODELS alone, else the system's folder where it can be read, else
// the user's, if that is known.
func importStore() []string {
	if dir := os.Getenv("DYNVIT_MODELS"); dir != "" {
		return []string{dir}
	}
	const system = "/var/lib/dynvit/models"
	if _, err := os.ReadDir(system); err == nil {
		return []string{system}
	}
	if data := userDir(os.Getenv("XDG_DATA_HOME"), ".local", "share"); data != "" {
		return []string{filepath.Join(data, "dynvit", "models")}
	}
	return nil
}
