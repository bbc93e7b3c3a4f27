// Package printable keeps what files and the network say from moving a terminal's
// cursor, breaking a line, or hiding in it.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Hidden reports whether a character does not show: control characters and breaks of
// lines, those that turn the direction of writing, those without width, and those that
// Unicode has not given out.
func Hidden(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Line is s on one line of a terminal: each hidden character is written as JSON
// writes it in quotes (\n, \u202e), each byte that is no UTF-8 as \xff. Other
// text, also that of JSON on one line, stays what it means.
func Line(s string) string {
	i := firstHidden(s)
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:i])
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			hex(&b, rune(s[i]), 2)
		case Hidden(r):
			escape(&b, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// firstHidden is where the first character lies that Line does not leave as it is, -1
// where none does.
func firstHidden(s string) int {
	for i, r := range s {
		if r >= ' ' && r < 0x7f {
			continue
		}
		if Hidden(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return -1
}

// escape writes a character as a JSON string has it.
func escape(b *strings.Builder, r rune) {
	switch r {
	case '\n':
		b.WriteString(`\n`)
		return
	case '\r':
		b.WriteString(`\r`)
		return
	case '\t':
		b.WriteString(`\t`)
		return
	}
	units := utf16.AppendRune(nil, r)
	for _, u := range units {
		b.WriteString(`\u`)
		hex(b, rune(u), 4)
	}
}

func hex(b *strings.Builder, v rune, digits int) {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b.WriteByte("0123456789abcdef"[v>>shift&0xf])
	}
}
