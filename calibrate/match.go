package calibrate

import (
	"fmt"
	"slices"
	"strings"
)

// Matches says in one line why a table's figures do not hold for what is about to
// run, nil if they do. Temperature and frame are not compared.
func (t *Table) Matches(now Origin) error {
	if t.Partial {
		return fmt.Errorf("made by a run that was cut off")
	}
	m, n := t.Machine, now.Machine
	for _, c := range []struct{ what, was, is string }{
		{"model", identity(t.Model), identity(now.Model)},
		{"program version", t.Program, now.Program},
		{"scorer", t.Scorer, now.Scorer},
		{"backend", t.Backend, now.Backend},
		{"architecture", m.Arch, n.Arch},
		{"CPU", m.CPU, n.CPU},
		{"GPU", m.GPU, n.GPU},
		{"GPU clock", megahertz(m.GPUClockMHz), megahertz(n.GPUClockMHz)},
		{"power mode", m.PowerMode, n.PowerMode},
		{"number of cores", fmt.Sprint(m.Cores), fmt.Sprint(n.Cores)},
		{"frequency governor", m.Governor, n.Governor},
	} {
		if c.was != c.is {
			return fmt.Errorf("made for another %s: %s, here %s", c.what, shown(c.was), shown(c.is))
		}
	}
	if diff := difference(m.Features, n.Features); diff != "" {
		return fmt.Errorf("made for other CPU features: %s", diff)
	}
	return nil
}

// megahertz writes a clock, "" where there is none.
func megahertz(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d MHz", n)
}

// identity is the file's content; random weights have a name alone.
func identity(m Model) string {
	if m.SHA256 == "" {
		return m.Name
	}
	return m.SHA256
}

// shown keeps a reason one short line whatever a file says.
func shown(s string) string {
	if s == "" {
		return "none"
	}
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// difference names what one list has and the other lacks, "" if nothing.
func difference(was, is []string) string {
	var words []string
	for _, f := range was {
		if !slices.Contains(is, f) {
			words = append(words, "-"+f)
		}
	}
	for _, f := range is {
		if !slices.Contains(was, f) {
			words = append(words, "+"+f)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return shown(strings.Join(words, " "))
}
