package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a configuration file, far above what a hundred cameras need. The
// YAML parser recurses, and its time grows with the square of the depth, and of
// the empty lines in a row of a block of text (40 KB of them: 11 s).
const (
	maxConfigFile  = 128 << 10 // bytes; of keys alone that takes 4 s
	maxConfigDepth = 32        // brackets open at once, or dashes before a value
	maxConfigEmpty = 100       // empty lines in a row
)

// yamlReader fills a Config from one file and notes where each key stands.
type yamlReader struct {
	file string // as errors name it
	from origins
}

// read sets what the file sets. The YAML library parses; walking the tree here
// rather than through its decoder is what lets an error name the allowed keys,
// and the same table serve the environment and the schema.
func (y yamlReader) read(data []byte, c *Config) error {
	y.from[""] = origin{where: y.file}
	data, err := plainText(data)
	if err != nil {
		return &Error{Where: y.file, Err: err}
	}
	if len(data) > maxConfigFile {
		return &Error{Where: y.file, Err: fmt.Errorf("more than %d KiB", maxConfigFile>>10)}
	}
	if line, err := costly(data); err != nil {
		return &Error{Where: fmt.Sprintf("%s:%d", y.file, line), Err: err}
	}
	tree, err := parser.ParseBytes(veil(data), 0)
	if err != nil {
		return y.syntax(err)
	}
	if len(tree.Docs) > 1 {
		return y.fail(tree.Docs[1].Start, "", errors.New("a second document: want one"))
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil || tree.Docs[0].Body.Type() == ast.NullType {
		return nil // an empty file is all defaults; Validate says what is missing
	}
	if at, err := foreign(tree.Docs[0].Body); err != nil {
		return y.fail(at, "", err)
	}
	return y.group("", tree.Docs[0].Body, reflect.ValueOf(c).Elem())
}

// costly looks for what the parser would take too long for, before it does, and names
// the line.
func costly(data []byte) (line int, err error) {
	if line, found := emptyLines(data); found {
		return line, fmt.Errorf("more than %d empty lines in a row", maxConfigEmpty)
	}
	if line, found := tooDeep(data); found {
		return line, errors.New("nested too deeply")
	}
	return 0, nil
}

// emptyLines finds the first that is one too many in a row. To the parser a carriage
// return ends a line, too.
func emptyLines(data []byte) (line int, found bool) {
	line = 1
	breaks := 1 // since a line that was not empty
	for i, c := range data {
		switch {
		case c == '\n' || c == '\r' && !bytes.HasPrefix(data[i+1:], []byte("\n")):
			line++
			breaks++
		case c > ' ':
			breaks = 0
		}
		if breaks > maxConfigEmpty+1 {
			return line - 1, true
		}
	}
	return 0, false
}

// tooDeep looks for nesting beyond all sense. It takes brackets in quotes for
// brackets: nobody nests those either.
func tooDeep(data []byte) (line int, deep bool) {
	open := 0
	for text := range bytes.Lines(data) {
		line++
		before, _, _ := bytes.Cut(text, []byte(" #"))
		if bytes.HasPrefix(before, []byte("#")) {
			continue
		}
		dashes := nesting(before, &open)
		if open > maxConfigDepth || dashes > maxConfigDepth {
			return line, true
		}
	}
	return line, false
}

// nesting follows the brackets of a line and counts its dashes before values.
func nesting(text []byte, open *int) (dashes int) {
	for i, c := range text {
		switch {
		case c == '[' || c == '{':
			*open++
		case c == ']' || c == '}':
			*open = max(0, *open-1)
		case (c == '-' || c == '?') && i+1 < len(text) && text[i+1] <= ' ':
			dashes++
		}
	}
	return dashes
}

// syntax puts the parser's error, which draws the lines around, on one line.
func (y yamlReader) syntax(err error) error {
	var e yaml.Error
	if !errors.As(err, &e) {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return &Error{Where: y.file, Err: errors.New(line)}
	}
	line, _, _ := strings.Cut(e.GetMessage(), "\n")
	return y.fail(e.GetToken(), "", errors.New(unveil(line)))
}

func (y yamlReader) fail(at *token.Token, key string, err error) error {
	return &Error{Where: y.at(at), Key: key, Err: err}
}

func (y yamlReader) at(t *token.Token) string {
	if t == nil || t.Position == nil {
		return y.file
	}
	return fmt.Sprintf("%s:%d:%d", y.file, t.Position.Line, t.Position.Column)
}

// group reads a mapping into a struct.
func (y yamlReader) group(key string, node ast.Node, v reflect.Value) error {
	list := fields(v)
	entries, ok := mapping(node)
	if !ok {
		return y.fail(node.GetToken(), key, fmt.Errorf("want keys: %s", names(list)))
	}
	return y.each(key, entries, func(name, key string, entry *ast.MappingValueNode) error {
		f, ok := find(list, name)
		if !ok {
			return y.fail(entry.Key.GetToken(), key, unknown(key, list))
		}
		return y.value(key, entry.Value, f)
	})
}

// each visits the entries of a mapping, noting where they stand.
func (y yamlReader) each(key string, entries []*ast.MappingValueNode, visit func(name, key string, entry *ast.MappingValueNode) error) error {
	for _, entry := range entries {
		word, ok := scalar(entry.Key)
		full := joinKey(key, unveil(word))
		if !ok || entry.Key.IsMergeKey() {
			return y.fail(entry.Key.GetToken(), key, errors.New("want plain keys"))
		}
		if _, twice := y.from[full]; twice {
			return y.fail(entry.Key.GetToken(), full, errors.New("key given twice"))
		}
		y.from[full] = origin{where: y.at(entry.Value.GetToken())}
		if _, group := mapping(entry.Value); group {
			y.from[full] = origin{where: y.at(entry.Key.GetToken())}
		}
		if err := visit(word, full, entry); err != nil {
			return err
		}
	}
	return nil
}

func (y yamlReader) value(key string, node ast.Node, f field) error {
	if f.isGroup() {
		return y.group(key, node, f.value)
	}
	if cameras, ok := f.value.Addr().Interface().(*map[string]Camera); ok {
		return y.cameras(key, node, *cameras)
	}
	if models, ok := f.value.Addr().Interface().(*Models); ok {
		if entries, by := mapping(node); by {
			return y.models(key, entries, models)
		}
	}
	words, err := values(node)
	if err == nil {
		err = unreplaced(key, words)
	}
	if err == nil {
		err = f.set(words)
	}
	if err != nil {
		return y.fail(node.GetToken(), key, err)
	}
	return nil
}

func (y yamlReader) cameras(key string, node ast.Node, cameras map[string]Camera) error {
	entries, ok := mapping(node)
	if !ok {
		return y.fail(node.GetToken(), key, errors.New("want cameras by name"))
	}
	return y.each(key, entries, func(name, key string, entry *ast.MappingValueNode) error {
		if !IsCameraName(name) {
			return y.fail(entry.Key.GetToken(), "cameras", fmt.Errorf("camera name %q: want a to z, 0 to 9, _ and -", name))
		}
		cam := DefaultCamera()
		err := y.group(key, entry.Value, reflect.ValueOf(&cam).Elem())
		cameras[name] = cam
		return err
	})
}

// mapping returns the entries of a block or flow mapping.
func mapping(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// values returns the words of a scalar or of a list of scalars.
func values(node ast.Node) ([]string, error) {
	if list, ok := node.(*ast.SequenceNode); ok {
		words := make([]string, len(list.Values))
		for i, item := range list.Values {
			var plain bool
			if words[i], plain = scalar(item); !plain {
				return nil, errors.New("want a list of plain values")
			}
		}
		return words, nil
	}
	word, ok := scalar(node)
	if !ok {
		return nil, errors.New("want a value")
	}
	return []string{word}, nil
}

// scalar returns the text of a scalar as it was written, so that a number too
// large or a word like 0x10 is judged by the key that it was given to.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}
