package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"dynvit/engine"
	"dynvit/head"
	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/modelstore"
	"dynvit/vit"
)

func newModel() *cobra.Command {
	c := &cobra.Command{Use: "model", Short: "List, inspect, import, fetch, check and export models", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("model: want list, info, import, pull, verify or export")}
		}}
	c.AddCommand(newModelList(), newModelInfo(), newModelImport(), newModelPull(), newModelVerify(), newModelExport())
	return c
}

// readModel opens a model by name or path and reads what it is; the caller closes the file.
func readModel(model string) (f *modelfile.File, name string, c vit.Config, err error) {
	if f, name, err = engine.OpenFile(model, modelStore()); err != nil {
		return nil, "", c, err
	}
	if head.Is(f) {
		f.Close()
		return nil, "", c, fmt.Errorf("model %s: a taught head; want the backbone that it was taught on", name)
	}
	if c, err = vit.Read(f); err != nil {
		f.Close()
		return nil, "", c, fmt.Errorf("model %s: %w", name, err)
	}
	return f, name, c, nil
}

func newModelList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the models that --model knows by name",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			names := map[string]string{models.DefaultName: "embedded"}
			for _, dir := range modelStore() {
				files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
				if err != nil {
					return err
				}
				for _, f := range files {
					names[strings.TrimSuffix(filepath.Base(f), ".safetensors")] = f
				}
			}
			var sorted []string
			for name := range names {
				sorted = append(sorted, name)
			}
			sort.Strings(sorted)
			for _, name := range sorted {
				printLine(c.OutOrStdout(), "%-24s %s", name, names[name])
			}
			return nil
		},
	}
}

func newModelPull() *cobra.Command {
	var o modelstore.PullOptions
	var asJSON bool
	var known []string
	for _, w := range modelstore.Public() {
		known = append(known, w.Name)
	}
	c := &cobra.Command{
		Use:   "pull NAME",
		Short: "Fetch published weights into the model store: " + strings.Join(known, ", "),
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			store := modelStore()
			if len(store) == 0 {
				return errors.New("model pull: there is no folder to keep it in: set DYNVIT_MODELS or HOME")
			}
			o.Store, o.Progress = store[0], downloadProgress()
			p, err := modelstore.Pull(c.Context(), args[0], o)
			var unknown *modelstore.UnknownError
			var request *modelstore.RequestError
			switch {
			case errors.As(err, &unknown), errors.As(err, &request):
				return usageError{fmt.Errorf("model pull: %w", err)}
			case err != nil:
				return fmt.Errorf("model pull %s: %w", args[0], err)
			case asJSON:
				return printJSON(c.OutOrStdout(), p)
			case p.Had:
				printLine(c.OutOrStdout(), "%s: already in the store, %s (--again fetches it anew)", p.Name, p.Path)
			default:
				printLine(c.OutOrStdout(), "%s: stored in %s, predictors %v", p.Name, p.Path, p.Predictors)
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.Mirror, "mirror", "", "`URL` of a folder that has the official file, instead of the official address")
	c.Flags().StringVar(&o.SHA256, "sha256", "", "checksum of the official file, in `HEX`, instead of what is known of it")
	c.Flags().BoolVar(&o.Again, "again", false, "fetch also what is in the store already")
	c.Flags().BoolVar(&asJSON, "json", false, "JSON on stdout")
	return c
}

// downloadProgress counts megabytes on stderr where that is a terminal.
func downloadProgress() func(done, total int64) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	var last time.Time
	return func(done, total int64) {
		if now := time.Now(); done == total {
			overwrite("")
		} else if now.Sub(last) > 200*time.Millisecond {
			last = now
			overwrite("%.1f of %.1f MB", float64(done)/1e6, float64(max(total, 0))/1e6)
		}
	}
}
