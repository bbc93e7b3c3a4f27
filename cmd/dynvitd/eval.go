package main

import (
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/engine"
	"dynvit/evaluate"
	"dynvit/vit"
)

// evaluated is the JSON of a run over a folder. top1 and top5 are null where no
// picture has a known class.
type evaluated struct {
	Images     int      `json:"images"`
	Skipped    int      `json:"skipped"`
	Top1       *float64 `json:"top1"`
	Top5       *float64 `json:"top5"`
	Agreement  float64  `json:"agreement"`
	None       *none    `json:"none,omitempty"` // of a taught head
	ImagesPerS float64  `json:"images_per_s"`
	KeepRatio  float64  `json:"keep_ratio"`
	Precision  string   `json:"precision"`
	Backend    string   `json:"backend"`
	Tokens     []int    `json:"tokens"`
}

// none is how many pictures a taught head's rule holds for none of its classes.
type none struct {
	Labelled      int `json:"labelled"`
	Refused       int `json:"refused"` // of those, wrongly
	Others        int `json:"others"`
	OthersRefused int `json:"others_refused"` // of those, rightly
}

func newEval() *cobra.Command {
	var f modelFlags
	var data string
	var limit int
	c := &cobra.Command{
		Use:   "eval --data DIR",
		Short: "Measure accuracy and agreement on a folder of pictures",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if data == "" || limit < 0 {
				return usageError{fmt.Errorf("eval: want --data DIR, and --limit not below 0")}
			}
			f.AsStored = true // as torchvision does, which data sets are judged by
			e, keep, plan, err := f.open()
			if err != nil {
				return err
			}
			defer e.Close()
			pictures, err := evaluate.List(data, e.Class)
			if err != nil {
				return fmt.Errorf("eval: %w", err)
			}
			o := evaluate.Options{Plan: plan, Progress: progress(), Failed: func(path string, err error) {
				complain(about("skip", path, err))
			}}
			if o.Reference, err = reference(e, f.Options, plan); err != nil {
				return err
			}
			if o.Reference != nil {
				defer o.Reference.Close()
			}
			report, err := evaluate.Run(c.Context(), e, evaluate.Spread(pictures, limit), o)
			if err != nil {
				return fmt.Errorf("eval: %w", err)
			}
			if report.Images == 0 {
				return fmt.Errorf("eval: %s: none of %d pictures could be read", data, report.Skipped)
			}
			return showReport(c.OutOrStdout(), e, e.Ratio(keep, plan), report, f.json)
		},
	}
	f.register(c)
	f.registerOne(c, "f32", "1")
	c.Flags().StringVar(&data, "data", "", "folder of pictures, in folders named by synset, class number or label")
	c.Flags().IntVar(&limit, "limit", 0, "take so many pictures, spread evenly (0 = all)")
	return c
}

// reference opens the dense f32 model to agree with; nil where the model under
// test is that.
func reference(e *engine.Engine, o engine.Options, plan vit.Plan) (*engine.Engine, error) {
	info := e.Info()
	if info.Precision == backends.F32 && plan.Dense(info.Patches) {
		return nil, nil
	}
	o.Precision = backends.F32.String()
	return engine.Open(o, all.List())
}

// progress counts on stderr where that is a terminal.
func progress() func(done, total int) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return func(done, total int) {
		overwrite("%d of %d", done, total)
		if done == total {
			overwrite("")
		}
	}
}

func showReport(w io.Writer, e *engine.Engine, ratio float64, r evaluate.Report, asJSON bool) error {
	info := e.Info()
	out := evaluated{
		Images: r.Images, Skipped: r.Skipped, Agreement: r.Agree, KeepRatio: ratio,
		Precision: info.Precision.String(), Backend: info.Backend, Tokens: r.Tokens,
	}
	if r.Seconds > 0 {
		out.ImagesPerS = float64(r.Images) / r.Seconds
	}
	if r.Labelled > 0 {
		out.Top1, out.Top5 = &r.Top1, &r.Top5
	}
	if info.Taught {
		out.None = &none{r.Labelled, r.Refused, r.Others, r.OthersRefused}
	}
	if asJSON {
		return printJSON(w, out)
	}
	printLine(w, "%d pictures (%d skipped), %.1f a second, %s on %s, tokens %v", r.Images, r.Skipped, out.ImagesPerS, out.Precision, out.Backend, r.Tokens)
	if r.Labelled > 0 {
		printLine(w, "top-1 %.1f %%, top-5 %.1f %% of %d with a known class", 100*r.Top1, 100*r.Top5, r.Labelled)
	}
	printLine(w, "agreement with the dense f32 model %.1f %%", 100*r.Agree)
	if n := out.None; n != nil {
		printLine(w, "none of these: %d of %d with a known class, %d of %d others", n.Refused, n.Labelled, n.OthersRefused, n.Others)
	}
	showConfusion(w, e, r.Confusion)
	return nil
}

// showConfusion lists the ten commonest mistakes.
func showConfusion(w io.Writer, e *engine.Engine, confusion map[[2]int]int) {
	var wrong [][2]int
	for pair := range confusion {
		if pair[0] != pair[1] {
			wrong = append(wrong, pair)
		}
	}
	sort.Slice(wrong, func(i, j int) bool {
		a, b := confusion[wrong[i]], confusion[wrong[j]]
		return a > b || a == b && (wrong[i][0] < wrong[j][0] || wrong[i][0] == wrong[j][0] && wrong[i][1] < wrong[j][1])
	})
	for _, pair := range wrong[:min(10, len(wrong))] {
		printLine(w, "  %4d  %s taken for %s", confusion[pair], e.Label(pair[0]), e.Label(pair[1]))
	}
}
