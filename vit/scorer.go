package vit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Scorer says what makes a patch worth keeping.
type Scorer uint8

const (
	// Predictor scores by the trained score_predictor ahead of the block (DynamicViT).
	Predictor Scorer = iota
	// Attention scores by the attention received in the block, times ‖v‖; needs no training.
	Attention
	// CLSAttention scores by CLS's attention in the block (EViT's rule); needs no training.
	CLSAttention
	// Merge scores as Attention does, drops some of those that are worth least and averages
	// others into patches that are like them; needs no training.
	Merge
	// PredictorMerge is Merge by Predictor's scores.
	PredictorMerge
)

var scorerNames = []string{"predictor", "attention", "cls-attention", "merge", "predictor+merge"}

func (s Scorer) String() string {
	if int(s) < len(scorerNames) {
		return scorerNames[s]
	}
	return fmt.Sprintf("Scorer(%d)", uint8(s))
}

// ScorerNames are those that a user may write.
func ScorerNames() []string {
	return append([]string{"auto"}, scorerNames...)
}

// CheckScorer reports a name that is none of them.
func CheckScorer(name string) error {
	if !slices.Contains(ScorerNames(), name) {
		return fmt.Errorf("scorer %q: want one of %s", name, strings.Join(ScorerNames(), ", "))
	}
	return nil
}

// ParseScorer reads a scorer's name. "auto" and "" are the one that the model's file names,
// else the predictor where the model has one, else merge; where the backend does not merge
// (backends.Merger), what drops by the same scores.
func ParseScorer(name string, c Config, merges bool) (Scorer, error) {
	if err := CheckScorer(name); err != nil && name != "" {
		return 0, err
	}
	if name == "" || name == "auto" {
		s := c.usual()
		if !merges {
			s = s.Dropping()
		}
		return s, nil
	}
	s := scorerOf(name)
	if err := c.lacks(s); err != nil {
		return 0, fmt.Errorf("scorer %s: %w", name, err)
	}
	return s, nil
}

// scorerOf is the scorer of one of scorerNames.
func scorerOf(name string) Scorer { return Scorer(slices.Index(scorerNames, name)) }

// usual is the scorer where none is asked for.
func (c Config) usual() Scorer {
	switch {
	case c.Scorer != "":
		return scorerOf(c.Scorer)
	case c.Predictors:
		return Predictor
	}
	return Merge
}

// lacks says what of a scorer the model does not have.
func (c Config) lacks(s Scorer) error {
	switch {
	case s == CLSAttention && c.NoCLS:
		return errors.New("the model has no CLS token (use attention)")
	case s.predicts() && !c.Predictors:
		return errors.New("the model has no predictors (add a file with --predictors, or use attention)")
	}
	return nil
}

// checkScorer reports a scorer of the model's file that it cannot have.
func (c Config) checkScorer() error {
	if c.Scorer == "" {
		return nil
	}
	if !slices.Contains(scorerNames, c.Scorer) {
		return fmt.Errorf("metadata scorer %.40q: want one of %s", c.Scorer, strings.Join(scorerNames, ", "))
	}
	if err := c.lacks(scorerOf(c.Scorer)); err != nil {
		return fmt.Errorf("metadata scorer %s: %w", c.Scorer, err)
	}
	return nil
}

// withPredictorsFor makes the usual scorer what predictors that are added were learnt for; where
// their file names none it stays, if it is by predictors at all.
func (c Config) withPredictorsFor(scorer string) Config {
	if scorer != "" || c.Scorer != "" && !c.usual().predicts() {
		c.Scorer = scorer
	}
	return c
}

// Merges reports whether patches are merged besides being dropped.
func (s Scorer) Merges() bool { return s == Merge || s == PredictorMerge }

// Dropping is the scorer with the same scores that drops alone.
func (s Scorer) Dropping() Scorer {
	switch s {
	case Merge:
		return Attention
	case PredictorMerge:
		return Predictor
	}
	return s
}

// predicts reports whether the scores are a predictor's.
func (s Scorer) predicts() bool { return s == Predictor || s == PredictorMerge }
