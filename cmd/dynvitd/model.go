package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dynvit/engine"
	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/vit"
)

func newModel() *cobra.Command {
	c := &cobra.Command{Use: "model", Short: "List, inspect, import and check models", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("model: want list, info, import or verify")}
		}}
	c.AddCommand(newModelList(), newModelInfo(), newModelImport(), newModelVerify())
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
				fmt.Fprintf(c.OutOrStdout(), "%-24s %s\n", name, names[name])
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
			fmt.Fprintf(w, "%-16s %s\n%-16s %s\n%-16s %d\n", "model", name, "sha256", f.SHA256(), "tensors", len(f.Names()))
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
				fmt.Fprintf(w, "%-16s %.200s\n", k, meta[k])
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
			fmt.Fprintf(c.OutOrStdout(), "%s: ok, %d tensors, sha256 %s\n", name, len(f.Names()), f.SHA256())
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
	file, err := openCheckpoint(in)
	if err != nil {
		return about("import", in, err)
	}
	defer file.Close()
	for k, v := range file.Meta {
		if _, given := meta[k]; !given {
			meta[k] = v
		}
	}
	m, err := modelfile.ParseManifest(meta)
	if err == nil && f.labels != "" {
		var l modelfile.Labels
		l, err = modelfile.ReadLabels(f.labels)
		m.Classes, m.Synsets = l.Names, l.Synsets
	}
	if err != nil {
		return fmt.Errorf("import %s: %w", in, err)
	}
	out, tensors, c, err := vit.Import(file, m)
	if err != nil {
		return fmt.Errorf("import %s: %w", in, err)
	}
	if err := modelfile.Write(f.out, out, tensors); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	fmt.Fprintf(w, "%s: width %d, depth %d, %d heads, %d classes, prunes at %v, predictors %v\n",
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

// openCheckpoint tells the two kinds of checkpoint apart by their first bytes.
func openCheckpoint(path string) (*modelfile.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 9)
	n, _ := file.Read(head)
	file.Close()
	if head = head[:n]; len(head) == 9 && head[8] == '{' && !bytes.HasPrefix(head, []byte("PK")) {
		return modelfile.Open(path)
	}
	return modelfile.ReadPTH(path)
}
