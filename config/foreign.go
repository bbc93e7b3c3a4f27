package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// plainText takes off the byte-order mark that some editors put before UTF-8, and
// refuses UTF-16, in which they save, too.
func plainText(data []byte) ([]byte, error) {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(data, []byte(mark)) {
			return nil, errors.New("is UTF-16: save it as UTF-8")
		}
	}
	// Without a mark it shows by ASCII's empty halves.
	if len(data) > 1 && (data[0] == 0) != (data[1] == 0) {
		return nil, errors.New("is UTF-16: save it as UTF-8")
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}

// foreign finds what YAML has and configurations of ours don't: no configuration
// needs it, and aliases can grow without bound.
func foreign(root ast.Node) (*token.Token, error) {
	var f finder
	ast.Walk(&f, root)
	return f.at, f.err
}

type finder struct {
	at  *token.Token
	err error // of the first
}

// Visit implements ast.Visitor.
func (f *finder) Visit(node ast.Node) ast.Visitor {
	if f.err != nil {
		return nil
	}
	f.at = node.GetToken()
	switch n := node.(type) {
	case *ast.AnchorNode:
		f.err = fmt.Errorf("&%s: anchors are not taken: write the value where it is wanted", n.Name)
	case *ast.AliasNode:
		f.err = fmt.Errorf("*%s: aliases are not taken: write the value where it is wanted", n.Value)
	case *ast.MergeKeyNode:
		f.err = errors.New("<<: merge keys are not taken: write the keys where they are wanted")
	case *ast.TagNode:
		f.err = fmt.Errorf("%s: tags are not taken: write the value; a password's place is the file of mqtt.password_file", n.Start.Value)
	default:
		return f
	}
	return nil
}

// variable is what other programs replace by the environment's value. Its brackets
// would be a mapping for the parser, so that they are veiled from it.
var variable = regexp.MustCompile(`\$\{([^{}\n]*)\}`)

const veilOpen, veilClose = "\ue000", "\ue001" // of Unicode's private use

// veil keeps the brackets of ${X} from the parser, a character for a character, so
// that places stay.
func veil(data []byte) []byte {
	return variable.ReplaceAll(data, []byte("$$"+veilOpen+"$1"+veilClose))
}

func unveil(text string) string {
	return strings.NewReplacer(veilOpen, "{", veilClose, "}").Replace(text)
}

// unreplaced finds a ${X} in a key's words.
func unreplaced(key string, words []string) error {
	for _, word := range words {
		if text := unveil(word); text != word {
			return fmt.Errorf("%q: variables are not replaced in the file: leave the key out and set %s", variable.FindString(text), EnvName(key))
		}
	}
	return nil
}
