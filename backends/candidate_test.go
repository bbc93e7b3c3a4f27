package backends

import (
	"fmt"
	"testing"
)

// named is a backend that says its name.
type named struct {
	Backend
	name string
}

func (n named) Facts() Facts { return Facts{Name: n.name, Why: "as " + n.name} }

func TestPick(t *testing.T) {
	serves := func(name string, auto bool) Candidate {
		return Candidate{Name: name, Auto: auto, Open: func(Options) (Backend, error) { return named{name: name}, nil }}
	}
	lacks := func(name string) Candidate {
		return Candidate{Name: name, Auto: true, Open: func(o Options) (Backend, error) {
			return nil, fmt.Errorf("%w: no %s for %d threads", ErrUnavailable, name, o.Threads)
		}}
	}
	list := []Candidate{lacks("first"), lacks("second"), serves("hidden", false), serves("third", true), serves("fourth", true)}
	for _, c := range []struct {
		list             []Candidate
		name, want, says string
	}{
		{list, "auto", "third", "first: unavailable: no first for 3 threads; second: unavailable: no second for 3 threads; as third"},
		{list, "", "third", "first: unavailable: no first for 3 threads; second: unavailable: no second for 3 threads; as third"},
		{list, "hidden", "hidden", "as hidden"},
		{list, "fourth", "fourth", "as fourth"},
		{list, "second", "", "backend second: unavailable: no second for 3 threads"},
		{list, "abacus", "", `backend "abacus": want auto, first, second, hidden, third, fourth`},
		{list[:3], "auto", "", "backend first: unavailable: no first for 3 threads; second: unavailable: no second for 3 threads"},
	} {
		be, says, err := Pick(c.list, c.name, Options{Threads: 3})
		got := ""
		if err != nil {
			says = err.Error()
		} else {
			got = be.Facts().Name
		}
		if got != c.want || says != c.says {
			t.Errorf("%q: picked %q, %q; want %q, %q", c.name, got, says, c.want, c.says)
		}
	}
}
