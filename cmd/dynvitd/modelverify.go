package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"dynvit/evaluate"
)

// verifyFlags compare a model with logits that are stored.
type verifyFlags struct {
	modelFlags
	against, data string
	tolerance     float64
}

func newModelVerify() *cobra.Command {
	f := verifyFlags{modelFlags: modelFlags{keep: "1"}}
	f.Scorer = "auto"
	c := &cobra.Command{
		Use:   "verify MODEL",
		Short: "Read every tensor of a model, and compare it with stored logits",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if !(f.tolerance >= 0) || f.against == "" && f.data != "" {
				return usageError{errors.New("model verify: want --tolerance not below 0, and --data with --against alone")}
			}
			if err := verifyTensors(c.OutOrStdout(), args[0]); err != nil {
				return err
			}
			if f.against == "" {
				return nil
			}
			f.Model = args[0]
			return f.compare(c.OutOrStdout())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.against, "against", "", "`FILE` of logits: JSON, or the lines of classify --json --logits")
	flags.StringVar(&f.data, "data", "", "folder of its pictures")
	flags.Float64Var(&f.tolerance, "tolerance", 1e-4, "largest difference of a logit, as a share of the largest logit")
	flags.StringVar(&f.Backend, "backend", "auto", "auto, or a `name` that dynvitd devices lists")
	flags.StringVar(&f.Precision, "precision", "f32", "precision: "+precisionNames)
	return c
}

func verifyTensors(w io.Writer, model string) error {
	f, name, _, err := readModel(model)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Verify(); err != nil {
		return fmt.Errorf("model %w", err)
	}
	printLine(w, "%s: ok, %d tensors, sha256 %s", name, len(f.Names()), f.SHA256())
	return nil
}

// compare runs the model on the pictures of the stored logits.
func (f *verifyFlags) compare(w io.Writer) error {
	stored, err := evaluate.ReadStored(f.against, f.data)
	if err != nil {
		return about("verify", f.against, err)
	}
	f.AsStored = !stored.Turned
	e, _, _, err := f.open()
	if err != nil {
		return err
	}
	defer e.Close()
	list, err := evaluate.Against(e, stored)
	if err != nil {
		return fmt.Errorf("verify %w", err)
	}
	wrong := 0
	worst := evaluate.Difference{}
	for _, d := range list {
		verdict := "ok"
		if d.Class != d.Want || !(d.Share <= f.tolerance) {
			verdict, wrong = "differs", wrong+1
		}
		printLine(w, "%-32s class %d, stored %d, logits within %.1e of the largest: %s", d.Picture, d.Class, d.Want, d.Share, verdict)
		if d.Share >= worst.Share {
			worst = d
		}
	}
	if wrong > 0 {
		return fmt.Errorf("verify %s: %d of %d pictures differ from %s, %s by %.1e of the largest logit (at most %.1e, --tolerance)",
			f.Model, wrong, len(list), f.against, worst.Picture, worst.Share, f.tolerance)
	}
	printLine(w, "%s on %s: %d pictures, same classes, logits within %.1e of the largest", e.Info().Model, e.Info().Backend, len(list), worst.Share)
	return nil
}
