package modelfile

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// maxLabels bounds a label file, in bytes.
const maxLabels = 8 << 20

// Labels are a model's class names in order, and their WordNet ids where the file
// has them (else nil).
type Labels struct {
	Names, Synsets []string
}

// ReadLabels reads a file of labels: one a line, each optionally after its synset id
// ("n01440764 tench, Tinca tinca"), or a JSON array of names, or a JSON object
// from class number to name.
func ReadLabels(path string) (Labels, error) {
	f, err := os.Open(path)
	if err != nil {
		return Labels{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLabels+1))
	if err != nil {
		return Labels{}, err
	}
	if len(data) > maxLabels {
		return Labels{}, fmt.Errorf("%s: more than %d bytes of labels", path, maxLabels)
	}
	l, err := ParseLabels(data)
	if err != nil {
		return Labels{}, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// ParseLabels is ReadLabels from memory.
func ParseLabels(data []byte) (Labels, error) {
	text := strings.TrimSpace(string(data))
	var names []string
	var err error
	switch {
	case text == "":
		return Labels{}, fmt.Errorf("no labels")
	case text[0] == '[':
		err = json.Unmarshal([]byte(text), &names)
	case text[0] == '{':
		names, err = numbered(text)
	default:
		names = strings.Split(text, "\n")
	}
	if err != nil {
		return Labels{}, fmt.Errorf("labels: %w", err)
	}
	return split(names), nil
}

// numbered reads {"0": "tench", …}; every number up to the last must be there.
func numbered(text string) ([]string, error) {
	var m map[string]string
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, err
	}
	names := make([]string, len(m))
	for k, v := range m {
		i, err := strconv.Atoi(k)
		if err != nil || i < 0 || i >= len(names) {
			return nil, fmt.Errorf("key %q: want each class number from 0 to %d", k, len(names)-1)
		}
		names[i] = v
	}
	return names, nil
}

// split takes synset ids off the names if every line begins with one.
func split(lines []string) Labels {
	synset := regexp.MustCompile(`^(n\d{8})(?:\s+(.*))?$`)
	var l Labels
	for _, line := range lines {
		line = strings.TrimSpace(line)
		l.Names = append(l.Names, line)
		if m := synset.FindStringSubmatch(line); m != nil {
			l.Synsets = append(l.Synsets, m[1])
		}
	}
	if len(l.Synsets) != len(l.Names) {
		l.Synsets = nil
		return l
	}
	for i, line := range l.Names {
		if name := synset.FindStringSubmatch(line)[2]; name != "" {
			l.Names[i] = name
		}
	}
	return l
}
