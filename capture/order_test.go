package capture

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestParseOrder: a label alone, or with count and pace; what is out of bounds or not
// known is refused on one line.
func TestParseOrder(t *testing.T) {
	for value, want := range map[string]Order{
		`"open"`: {"open", 30, 2 * time.Second},
		`{"label":"open","count":5,"every":"500ms"}`: {"open", 5, 500 * time.Millisecond},
		`{"label":"Tür offen","every":"0s"}`:         {"Tür offen", 30, 0},
	} {
		o, err := ParseOrder([]byte(value))
		if err != nil || o != want {
			t.Errorf("%s: %+v, %v", value, o, err)
		}
		text, err := json.Marshal(o)
		if again, failed := ParseOrder(text); err != nil || failed != nil || again != o {
			t.Errorf("%s: %s is read as %+v, %v", value, text, again, failed)
		}
	}
	for _, value := range []string{`""`, `"../x"`, `"a/b"`, `{}`, `{"count":5}`, `7`, `null`, `true`, `["open"]`, `{"label":"x","count":0}`, `{"label":"x","count":1001}`,
		`{"label":"x","count":1.5}`, `{"label":"x","every":"-1s"}`, `{"label":"x","every":"2h"}`, `{"label":"x","every":"soon"}`, `{"label":"x","path":"/etc"}`, `{"label":7}`, `{"label":null}`} {
		if o, err := ParseOrder([]byte(value)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v", value, o, err)
		}
	}
}

func FuzzParseOrder(f *testing.F) {
	f.Add([]byte(`"open"`))
	f.Add([]byte(`{"label":"open","count":5,"every":"500ms"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		if o, err := ParseOrder(value); err == nil && o.Check() != nil {
			t.Errorf("%s: %+v", value, o)
		}
	})
}

// TestTaking: the first frame, then none before its time, and so many.
func TestTaking(t *testing.T) {
	taking := Taking{Order: Order{"open", 2, 2 * time.Second}}
	for _, c := range []struct {
		second    float64
		due, last bool
	}{{0, true, false}, {1, false, false}, {1.9, false, false}, {2, true, true}, {9, false, false}} {
		now := noon.Add(time.Duration(c.second * float64(time.Second)))
		if due := taking.Due(now); due != c.due {
			t.Errorf("after %v s: due %v", c.second, due)
		}
		if c.due && taking.Took(now) != c.last {
			t.Errorf("after %v s: last %v", c.second, !c.last)
		}
	}
}

// TestWriter: what was put is there when Run has returned; what is too much at once is
// refused, not waited for.
func TestWriter(t *testing.T) {
	f := New(t.TempDir(), 10)
	w := NewWriter(f, slog.New(slog.DiscardHandler))
	for range mostWaiting {
		if err := w.Put("door", "open", noon, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Put("door", "open", noon, nil); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	w.Run(ctx)
	if list, _, err := f.List("door"); err != nil || len(list) != 2 || w.Dropped() != mostWaiting-2 {
		t.Errorf("%v, %d dropped, %v", list, w.Dropped(), err)
	}
}
