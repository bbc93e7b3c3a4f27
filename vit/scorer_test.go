package vit

import (
	"strings"
	"testing"

	"dynvit/modelfile"
)

// TestAuto: what the model's file names comes first, on a backend that cannot merge what
// drops by the same scores.
func TestAuto(t *testing.T) {
	for _, c := range []struct {
		names       string
		predictors  bool
		merges      Scorer
		dropsInline Scorer // where the backend merges nothing
	}{
		{"", false, Merge, Attention},
		{"", true, Predictor, Predictor},
		{"predictor", true, Predictor, Predictor},
		{"predictor+merge", true, PredictorMerge, Predictor},
		{"merge", true, Merge, Attention},
		{"merge", false, Merge, Attention},
		{"attention", true, Attention, Attention},
		{"cls-attention", false, CLSAttention, CLSAttention},
	} {
		config := Config{Scorer: c.names, Predictors: c.predictors}
		for _, name := range []string{"", "auto"} {
			if got, err := ParseScorer(name, config, true); err != nil || got != c.merges {
				t.Errorf("%q of a model that names %q, predictors %v: %v, %v", name, c.names, c.predictors, got, err)
			}
			if got, err := ParseScorer(name, config, false); err != nil || got != c.dropsInline {
				t.Errorf("%q of a model that names %q, predictors %v, nothing merges: %v, %v", name, c.names, c.predictors, got, err)
			}
		}
		if got, err := ParseScorer("attention", config, true); err != nil || got != Attention {
			t.Errorf("attention of a model that names %q: %v, %v", c.names, got, err)
		}
	}
}

// scored is the file of a small model with predictors, and one without, that name a scorer.
func scored(t *testing.T, name string, predictors bool) *modelfile.File {
	t.Helper()
	c := small["deit"]
	c.Predictors = predictors
	tensors, err := Random{Config: c, Seed: 1}.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	meta := c.Manifest().Encode()
	if meta["scorer"] = name; name == "" {
		delete(meta, "scorer")
	}
	return modelfile.New(meta, tensors)
}

// TestScorerOfAFile: a file keeps what it names, and is refused, in a line, where it cannot
// have that.
func TestScorerOfAFile(t *testing.T) {
	for name, predictors := range map[string]bool{"": true, "predictor+merge": true, "predictor": true, "merge": false, "attention": true, "cls-attention": false} {
		c, err := Read(scored(t, name, predictors))
		if err != nil || c.Scorer != name || c.Manifest().Scorer != name {
			t.Errorf("%q: %q, %v", name, c.Scorer, err)
		}
	}
	for _, name := range []string{"auto", "dice", "Merge", "predictor+merge\n", strings.Repeat("merge", 1<<20)} {
		_, err := Read(scored(t, name, true))
		if err == nil || !strings.HasPrefix(err.Error(), "metadata scorer ") || !strings.Contains(err.Error(), "want one of predictor, ") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
			t.Errorf("%.40q: %.300v", name, err)
		}
	}
	for _, name := range []string{"predictor", "predictor+merge"} {
		if _, err := Read(scored(t, name, false)); err == nil || !strings.HasPrefix(err.Error(), "metadata scorer "+name+": the model has no predictors") {
			t.Errorf("%s without predictors: %v", name, err)
		}
	}
	c := small["deit"]
	c.Scorer, c.NoCLS, c.Pool = "cls-attention", true, PoolMean
	if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "metadata scorer cls-attention: the model has no CLS token") {
		t.Errorf("cls-attention without CLS: %v", err)
	}
}

// TestScorerOfPredictors: predictors that are added say what they were learnt for; where they do not, they are used by what
// the model names, if that is by predictors at all.
func TestScorerOfPredictors(t *testing.T) {
	for _, c := range []struct{ model, predictors, want string }{
		{"", "", ""},
		{"", "predictor+merge", "predictor+merge"},
		{"predictor+merge", "", "predictor+merge"},
		{"predictor+merge", "predictor", "predictor"},
		{"merge", "", ""},
		{"attention", "", ""},
		{"merge", "predictor+merge", "predictor+merge"},
	} {
		f := scored(t, c.model, true)
		config, err := Read(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, config, err = AddPredictors(config, f, scored(t, c.predictors, true)); err != nil || config.Scorer != c.want {
			t.Errorf("%q with predictors for %q: %q, %v; want %q", c.model, c.predictors, config.Scorer, err, c.want)
		}
	}
	f := scored(t, "", true)
	config, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := AddPredictors(config, f, scored(t, "dice", true)); err == nil || !strings.HasPrefix(err.Error(), `metadata scorer "dice"`) {
		t.Errorf("predictors for dice: %v", err)
	}
}
