package modelfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"dynvit/printable"
	"dynvit/regular"
)

// maxLabels bounds a file of labels in bytes; maxSize bounds their number.
const maxLabels = 8 << 20

// Labels are a model's class names in order, and their WordNet ids where the file
// has them for all (else nil).
type Labels struct {
	Names, Synsets []string
}

// ReadLabels reads a file of labels, of at most 8 MiB and 65536 classes: one a
// line, each optionally after its synset id ("n01440764 tench, Tinca tinca"), or a
// JSON array of them, or a JSON object from class number to label or to
// ["n01440764", "tench"]. No label may be empty or hold |, which separates labels
// in a model file.
func ReadLabels(path string) (Labels, error) {
	data, err := regular.Read(path, maxLabels)
	if err != nil {
		return Labels{}, err
	}
	l, err := ParseLabels(data)
	if err != nil {
		return Labels{}, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// ParseLabels is ReadLabels from memory.
func ParseLabels(data []byte) (Labels, error) {
	text := strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff"))
	var lines []string
	var err error
	switch {
	case len(data) > maxLabels:
		err = fmt.Errorf("more than %d bytes", maxLabels)
	case !utf8.ValidString(text):
		err = errors.New("is no UTF-8")
	case text == "":
		err = errors.New("is empty")
	case text[0] == '[':
		lines, err = labelList(text)
	case text[0] == '{':
		lines, err = labelObject(text)
	default:
		lines = strings.Split(text, "\n")
	}
	if err == nil {
		err = checkLabels(lines)
	}
	if err != nil {
		return Labels{}, fmt.Errorf("labels: %w", err)
	}
	return splitSynsets(lines), nil
}

// labelList reads ["tench", …].
func labelList(text string) (lines []string, err error) {
	p := newStrictJSON([]byte(text))
	err = p.list(maxSize, func(int) error {
		s, err := p.text()
		lines = append(lines, s)
		return err
	})
	if err == nil {
		err = p.end()
	}
	return lines, err
}

// labelObject reads {"0": "tench", …} or {"0": ["n01440764", "tench"], …}; every
// number up to the last must be there.
func labelObject(text string) ([]string, error) {
	p := newStrictJSON([]byte(text))
	byNumber := map[int]string{}
	err := p.object(maxSize, func(key string) error {
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 || strconv.Itoa(n) != key {
			return errors.New("is no class number")
		}
		byNumber[n], err = p.label()
		return err
	})
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(byNumber))
	for i := range lines {
		var ok bool
		if lines[i], ok = byNumber[i]; !ok {
			return nil, fmt.Errorf("%d classes, but none has number %d", len(lines), i)
		}
	}
	return lines, nil
}

// label reads "tench" or ["n01440764", "tench"], as one line.
func (p strictJSON) label() (string, error) {
	t, err := p.d.Token()
	if err != nil {
		return "", err
	}
	if s, ok := t.(string); ok {
		return s, nil
	}
	if t != json.Delim('[') {
		return "", fmt.Errorf("want a label, found %s", show(t))
	}
	id, err := p.text()
	if err != nil {
		return "", err
	}
	name, err := p.text()
	if err != nil {
		return "", err
	}
	return id + " " + name, p.delim(']')
}

// checkLabels refuses labels that a model file's metadata or a line of output
// could not carry. It trims them and makes tabs spaces.
func checkLabels(lines []string) error {
	if len(lines) > maxSize {
		return fmt.Errorf("more than %d classes", maxSize)
	}
	for i, line := range lines {
		line = strings.TrimSpace(strings.ReplaceAll(line, "\t", " "))
		switch {
		case line == "":
			return fmt.Errorf("label %d is empty", i)
		case strings.Contains(line, listSeparator):
			return fmt.Errorf("label %d, %.40q, holds %s", i, line, listSeparator)
		case strings.ContainsFunc(line, unfit):
			return fmt.Errorf("label %d, %.40q, holds control characters or hidden ones", i, line)
		}
		lines[i] = line
	}
	return nil
}

// unfit are the characters that no label holds: those that do not show, but for
// what scripts and emoji join and vary signs with.
func unfit(r rune) bool {
	return printable.Hidden(r) && !unicode.In(r, unicode.Join_Control, unicode.Variation_Selector)
}

// splitSynsets takes the synset ids off the lines if every line begins with one.
func splitSynsets(lines []string) Labels {
	synset := regexp.MustCompile(`^(n\d{8})(?:\s+(.+))?$`)
	l := Labels{Names: lines, Synsets: make([]string, 0, len(lines))}
	for _, line := range lines {
		if m := synset.FindStringSubmatch(line); m != nil {
			l.Synsets = append(l.Synsets, m[1])
		}
	}
	if len(l.Synsets) != len(lines) {
		return Labels{Names: lines}
	}
	for i, line := range lines {
		if m := synset.FindStringSubmatch(line); m[2] != "" {
			l.Names[i] = m[2]
		}
	}
	return l
}
