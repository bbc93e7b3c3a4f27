package main

import (
	"fmt"
	"sort"

	"github.com/spf13/cobra"

	"dynvit/engine"
	"dynvit/vit"
)

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
