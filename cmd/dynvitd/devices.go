package main

import (
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/spf13/cobra"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/camera/v4l2"
)

// device is the JSON of one backend.
type device struct {
	Name       string   `json:"name"`
	Available  bool     `json:"available"`
	Why        string   `json:"why"`
	Precisions []string `json:"precisions,omitempty"`
}

func newDevices() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "devices",
		Short: "List backends and cameras, and why one does not serve",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w := c.OutOrStdout()
			features := strings.ToLower(strings.Join(cpuid.CPU.FeatureSet(), " "))
			var list []device
			for _, candidate := range all.List() {
				list = append(list, probe(candidate))
			}
			cameras := v4l2.Devices()
			if asJSON {
				return printJSON(w, map[string]any{
					"cpu": cpuid.CPU.BrandName, "features": strings.Fields(features), "backends": list, "cameras": cameraJSON(cameras),
				})
			}
			printLine(w, "%s, %d logical cores", cpuid.CPU.BrandName, cpuid.CPU.LogicalCores)
			printLine(w, "  %s", features)
			for _, d := range list {
				state := "available"
				if !d.Available {
					state = "no"
				}
				printLine(w, "%-10s %-10s %s", d.Name, state, d.Why)
			}
			printCameras(w, cameras)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "JSON on stdout")
	return c
}

func probe(c backends.Candidate) device {
	be, err := c.Open(backends.Options{})
	if err != nil {
		return device{Name: c.Name, Why: err.Error()}
	}
	defer be.Close()
	d := device{Name: c.Name, Available: true}
	facts := be.Facts()
	for _, p := range facts.Precisions {
		d.Precisions = append(d.Precisions, p.String())
	}
	d.Why = strings.Join(d.Precisions, ", ")
	said := slices.DeleteFunc([]string{facts.Device, facts.Why}, func(s string) bool { return s == "" })
	if len(said) > 0 {
		d.Why += ": " + strings.Join(said, ", ")
	}
	if !c.Auto {
		d.Why += " (only by name)"
	}
	return d
}
