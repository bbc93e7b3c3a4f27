package figure

import (
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strings"
)

// fonts of a viewer, its own first.
const fonts = "system-ui, sans-serif"

// WriteSVG writes a document without anything from elsewhere.
func (f *Figure) WriteSVG(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="%s">`+"\n",
		f.width, f.height, f.width, f.height, fonts)
	b.WriteString(f.dark())
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d" fill="%s"/>`+"\n", f.width, f.height, hex(f.paper.Light))
	for i := range f.marks {
		f.marks[i].svg(&b)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// dark is the style sheet for those who ask for dark. It stands alone: a viewer that
// passes it over has the attributes.
func (f *Figure) dark() string {
	rules := map[string]string{"paper": "fill:" + hex(f.paper.Dark)}
	for _, m := range f.marks {
		if m.words != "" {
			rules[m.lettering.Name] = "fill:" + hex(m.lettering.Ink.Dark)
			continue
		}
		var rule []string
		if m.style.Fill != nil {
			rule = append(rule, "fill:"+hex(m.style.Fill.Dark))
		}
		if m.style.Stroke != nil {
			rule = append(rule, "stroke:"+hex(m.style.Stroke.Dark))
		}
		rules[m.style.Name] = strings.Join(rule, ";")
	}
	var b strings.Builder
	b.WriteString("<style>@media (prefers-color-scheme:dark){")
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		fmt.Fprintf(&b, ".%s{%s}", name, rules[name])
	}
	b.WriteString("}</style>\n")
	return b.String()
}

func (m *mark) svg(b *strings.Builder) {
	at := m.points
	switch {
	case m.words != "":
		l := m.lettering
		fmt.Fprintf(b, `<text x="%s" y="%s" class="%s" fill="%s" font-size="%s"`, number(at[0].X), number(at[0].Y), l.Name, hex(l.Ink.Light), number(l.Size))
		if l.Bold {
			b.WriteString(` font-weight="600"`)
		}
		if l.Anchor != "" && l.Anchor != Start {
			fmt.Fprintf(b, ` text-anchor="%s"`, l.Anchor)
		}
		fmt.Fprintf(b, ">%s</text>\n", html.EscapeString(m.words))
	case m.radius > 0:
		fmt.Fprintf(b, `<circle cx="%s" cy="%s" r="%s"%s/>`+"\n", number(at[0].X), number(at[0].Y), number(m.radius), m.style.svg())
	case len(at) > 0:
		fmt.Fprintf(b, `<path d="%s"%s/>`+"\n", m.path(), m.style.svg())
	}
}

func (m *mark) path() string {
	var b strings.Builder
	for i, p := range m.points {
		fmt.Fprintf(&b, "%c%s %s", "ML"[min(i, 1)], number(p.X), number(p.Y))
	}
	if m.closed {
		b.WriteByte('Z')
	}
	return b.String()
}

// svg is the attributes of a style.
func (s Style) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, ` class="%s" fill="%s"`, s.Name, colour(s.Fill))
	if s.Stroke != nil {
		fmt.Fprintf(&b, ` stroke="%s" stroke-width="%s" stroke-linejoin="round"`, colour(s.Stroke), number(s.Width))
		if s.Round {
			b.WriteString(` stroke-linecap="round"`)
		}
	}
	if len(s.Dash) > 0 {
		b.WriteString(` stroke-dasharray="`)
		for i, d := range s.Dash {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(number(d))
		}
		b.WriteByte('"')
	}
	if s.Opacity > 0 {
		fmt.Fprintf(&b, ` opacity="%s"`, number(s.Opacity))
	}
	return b.String()
}

func colour(i *Ink) string {
	if i == nil {
		return "none"
	}
	return hex(i.Light)
}

func hex(v uint32) string { return fmt.Sprintf("#%06x", v) }

// number has as many digits as are seen.
func number(v float64) string {
	s := fmt.Sprintf("%.2f", v)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
