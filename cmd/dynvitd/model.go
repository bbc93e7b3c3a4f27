package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"dynvit/engine"
	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/modelstore"
	"dynvit/vit"
)

func newModel() *cobra.Command {
	c := &cobra.Command{Use: "model", Short: "List, inspect, import, fetch and check models", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("model: want list, info, import, pull or verify")}
		}}
	c.AddCommand(newModelList(), newModelInfo(), newModelImport(), newModelPull(), newModelVerify())
	return c
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

func newModelInfo() *cobra.Command {
	return &cobra.Command{
		Use:   "info MODEL",
		Short: "Print what a model file says of itself",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, name, err := engine.OpenFile(args[0], modelStore())
			if err != nil {
				return err
			}
			defer f.Close()
			config, err := vit.Read(f)
			if err != nil {
				return fmt.Errorf("model %s: %w", name, err)
			}
			w := c.OutOrStdout()
			printLine(w, "%-16s %s", "model", name)
			printLine(w, "%-16s %s", "sha256", f.SHA256())
			printLine(w, "%-16s %d", "tensors", len(f.Names()))
			meta := config.Manifest().Encode()
			for k, v := range f.Meta {
				meta[k] = v
			}
			keys := make([]string, 0, len(meta))
			for k := range meta {
				keys = append(keys, k)
			}
			sort.Strings(keys)
			for _, k := range keys {
				printLine(w, "%-16s %.200s", k, meta[k])
			}
			return nil
		},
	}
}

func newModelVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify MODEL",
		Short: "Read every tensor of a model and check that it fits together",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, name, err := engine.OpenFile(args[0], modelStore())
			if err != nil {
				return err
			}
			defer f.Close()
			if err := f.Verify(); err != nil {
				return fmt.Errorf("model %w", err)
			}
			if _, err := vit.Read(f); err != nil {
				return fmt.Errorf("model %s: %w", name, err)
			}
			printLine(c.OutOrStdout(), "%s: ok, %d tensors, sha256 %s", name, len(f.Names()), f.SHA256())
			return nil
		},
	}
}

// importFlags override what the checkpoint's names and shapes tell.
type importFlags struct {
	out, pruneAt, mean, std, labels string
	heads, imageSize                int
}

func newModelImport() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import IN -o OUT",
		Short: "Turn a .pth checkpoint or timm .safetensors into a model file",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return f.run(c.OutOrStdout(), args[0]) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.out, "output", "o", "", "model file to write (.safetensors)")
	flags.IntVar(&f.heads, "heads", 0, "attention heads")
	flags.StringVar(&f.pruneAt, "prune-at", "", "blocks that drop patches, such as 3,6,9")
	flags.IntVar(&f.imageSize, "image-size", 0, "side of the input in pixels")
	flags.StringVar(&f.mean, "mean", "", "mean of R,G,B on a scale of 0 to 1")
	flags.StringVar(&f.std, "std", "", "standard deviation of R,G,B")
	flags.StringVar(&f.labels, "labels", "", "file of class names, one a line, or JSON")
	return c
}

func (f importFlags) run(w io.Writer, in string) error {
	if f.out == "" {
		return usageError{errors.New("model import: want -o OUT")}
	}
	meta, err := f.metadata()
	if err != nil {
		return usageError{fmt.Errorf("model import: %w", err)}
	}
	c, err := modelstore.Import(in, f.out, meta, f.labels)
	if err != nil {
		return fmt.Errorf("import %w", err)
	}
	printLine(w, "%s: width %d, depth %d, %d heads, %d classes, prunes at %v, predictors %v",
		f.out, c.Width, c.Depth, c.Heads, c.Classes, c.PruneAt, c.Predictors)
	return nil
}

// metadata writes the flags as metadata, whose parser knows their ranges.
func (f importFlags) metadata() (map[string]string, error) {
	meta := map[string]string{}
	for k, v := range map[string]string{"prune_at": f.pruneAt, "mean": f.mean, "std": f.std} {
		if v != "" {
			meta[k] = v
		}
	}
	for k, v := range map[string]int{"heads": f.heads, "image_size": f.imageSize} {
		if v != 0 {
			meta[k] = strconv.Itoa(v)
		}
	}
	_, err := modelfile.ParseManifest(meta)
	return meta, err
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
			o.Store, o.Progress, o.Embedded = store[0], downloadProgress(), models.Predictors
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
