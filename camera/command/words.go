package command

import (
	"errors"
	"strings"
)

// splitWords cuts a command line into words as a shell does, without one: blanks
// part words; '…' is literal; in "…" a backslash stands before " and \; elsewhere
// it makes the next character literal. Nothing is expanded.
func splitWords(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		word, rest, err := cutWord(line)
		if err != nil {
			return nil, err
		}
		words, line = append(words, word), rest
	}
}

// cutWord takes the first word off a line that does not begin with a blank.
func cutWord(line string) (word, rest string, err error) {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String(), line[i:], nil
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
		case c == '\\' && escapes(quote, line[i+1:]):
			i++
			b.WriteByte(line[i])
		case c == '\\' && quote == 0:
			return "", "", errors.New("command ends in a backslash")
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", "", errors.New("command has an open " + string(quote))
	}
	return b.String(), "", nil
}

// escapes reports whether a backslash inside this quote takes what follows.
func escapes(quote byte, next string) bool {
	switch {
	case next == "" || quote == '\'':
		return false
	case quote == '"':
		return next[0] == '"' || next[0] == '\\'
	}
	return true
}
