package checkpoint

import (
	"encoding/json"
	"errors"
	"strings"

	"dynvit/modelfile"
)

// labels are the class names in a list or an object by number, as metadata has them,
// and WordNet's ids where all names are such and are described.
func labels(names, described any) (classes, synsets string, err error) {
	if texts, is := names.([]any); is {
		names = describe(texts, described)
	} else if byNumber, is := names.(map[string]any); is {
		names = byNumber
	} else {
		return "", "", errors.New("want a list of names, or an object by number")
	}
	text, err := json.Marshal(names)
	if err != nil {
		return "", "", err
	}
	l, err := modelfile.ParseLabels(text)
	if err != nil {
		return "", "", err
	}
	m := modelfile.Manifest{Classes: l.Names, Synsets: l.Synsets}.Encode()
	return m["classes"], m["synsets"], nil
}

// describe puts the description of a WordNet id behind it; other names stay.
func describe(names []any, described any) []any {
	by, _ := described.(map[string]any)
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = n
		id, _ := n.(string)
		if d, is := by[id].(string); is && len(id) == 9 && strings.HasPrefix(id, "n") {
			out[i] = id + " " + d
		}
	}
	return out
}
