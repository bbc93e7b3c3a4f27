package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"dynvit/export"
)

func newModelExport() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "export MODEL --hf DIR",
		Short: "Write a folder that transformers loads",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if dir == "" {
				return usageError{errors.New("model export: want --hf DIR")}
			}
			return exportModel(c.OutOrStdout(), args[0], dir)
		},
	}
	c.Flags().StringVar(&dir, "hf", "", "folder to write: config.json, model.safetensors, preprocessor_config.json")
	return c
}

func exportModel(w io.Writer, model, dir string) error {
	f, name, config, err := readModel(model)
	if err != nil {
		return err
	}
	defer f.Close()
	notes, err := export.HuggingFace(f, config, dir)
	if err != nil {
		return fmt.Errorf("export %s: %w", name, err)
	}
	for _, note := range notes {
		printLine(w, "%s", note)
	}
	printLine(w, "%s: written to %s", name, dir)
	return nil
}
