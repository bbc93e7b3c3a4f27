package calibrate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"dynvit/printable"
)

// WriteText writes the table for a terminal: one line a point, the chosen one
// marked with *, those over the budget with !.
func WriteText(w io.Writer, t *Table) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s, %s: budget %s ms at p%s\n", printable.Line(t.Model.Name), printable.Line(t.Machine.CPU), printable.Line(t.Frame), short(t.BudgetMS), short(t.Percentile))
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, " \tkeep\tpatches\tprecision\tthreads\tp50 ms\tp90\tp95\tp99\tp%s within\tframes\tagreement\tKL\taccuracy\t\n", short(t.Percentile))
	for _, p := range t.Points {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f-%.2f\t%d\t%s\t%s\t%s\t\n",
			t.mark(p), short(p.KeepRatio), counts(p.Keep), printable.Line(p.Precision), p.Threads, p.P50, p.P90, p.P95, p.P99, p.CI95.Lo, p.CI95.Hi,
			p.Frames, p.agreement(), p.divergence(), p.accuracy())
	}
	tw.Flush() // into memory
	fmt.Fprintln(&b, t.summary())
	if doubt := t.Doubt(); doubt != "" {
		fmt.Fprintln(&b, doubt)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) mark(p Measured) string {
	switch {
	case t.Chosen != nil && p.same(t.Chosen.Point):
		return "*"
	case p.CI95.Hi > t.BudgetMS:
		return "!"
	}
	return " "
}

// summary is the choice in one line.
func (t *Table) summary() string {
	switch {
	case t.Partial:
		return "cut off before anything was chosen"
	case t.Chosen == nil:
		return "no point meets the budget"
	}
	return fmt.Sprintf("chosen: %s, at most %s ms at p%s, %s",
		printable.Line(t.Chosen.Point.String()), short(t.Chosen.CI95.Hi), short(t.Percentile), t.Chosen.describe())
}

// describe is the quality by which the point is compared, with its interval.
func (q Quality) describe() string {
	switch {
	case q.Judged == 0:
		return "not judged"
	case q.Measures() && q.AccuracyCI95 != nil:
		return fmt.Sprintf("accuracy %s %% (%s-%s)", percent(*q.Accuracy), percent(q.AccuracyCI95.Lo), percent(q.AccuracyCI95.Hi))
	}
	return fmt.Sprintf("agreement %s %% (%s-%s)", percent(q.Agreement), percent(q.AgreementCI95.Lo), percent(q.AgreementCI95.Hi))
}

func (q Quality) agreement() string {
	if q.Judged == 0 {
		return "-"
	}
	return percent(q.Agreement) + " %"
}

func (q Quality) divergence() string {
	if q.Judged == q.Broken {
		return "-"
	}
	return short(q.KL)
}

func (q Quality) accuracy() string {
	if q.Accuracy == nil {
		return "-"
	}
	return percent(*q.Accuracy) + " %"
}

func percent(share float64) string { return fmt.Sprintf("%.1f", 100*share) }
