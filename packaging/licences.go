package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// licence is what a module, or Go's own library, asks to be handed on.
type licence struct {
	module  *debug.Module
	spdx    string // expression, such as MIT
	text    []byte // its files of licence and notice, one after another
	sources []string
}

// legal are names of files that a distribution of the module must carry.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|edl-v10|epl-v20)(\.(md|txt))?$`)

// licences collects those of all modules that are linked in, sorted by path, and of Go's
// library, which is linked in too. A module without a licence, or with one that
// is not known, is an error.
func licences(root string, p *program) ([]licence, error) {
	dirs, err := moduleDirs(root, p.modules)
	if err != nil {
		return nil, err
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	dirs["std"] = strings.TrimSpace(string(goroot))
	var list []licence
	for _, m := range append([]*debug.Module{{Path: "std", Version: p.golang}}, p.modules...) {
		l, err := licenceOf(m, dirs[m.Path])
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// moduleDirs are the folders of modules' sources.
func moduleDirs(root string, modules []*debug.Module) (map[string]string, error) {
	args := []string{"list", "-m", "-json"}
	for _, m := range modules {
		args = append(args, m.Path)
	}
	c := exec.Command("go", args...)
	c.Dir = root
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	dirs := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf("go list -m: %w", err)
		}
		dirs[m.Path] = m.Dir
	}
	return dirs, nil
}

func licenceOf(m *debug.Module, dir string) (licence, error) {
	l := licence{module: m}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return l, fmt.Errorf("licence of %s: %w", m.Path, err)
	}
	for _, e := range entries {
		if e.IsDir() || !legal.MatchString(e.Name()) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return l, err
		}
		l.sources = append(l.sources, e.Name())
		l.text = append(l.text, fmt.Sprintf("\n--- %s\n\n%s\n", e.Name(), bytes.TrimSpace(data))...)
	}
	if err := l.carried(dir); err != nil {
		return l, err
	}
	l.spdx, err = identify(l.text)
	if err != nil {
		return l, fmt.Errorf("licence of %s (%s: %q): %w", m.Path, dir, l.sources, err)
	}
	return l, nil
}

// carried adds the licences of what a module has compiled in, in its folder lib: heic and
// avif carry libheif, libde265, libavif and libaom as WebAssembly.
func (l *licence) carried(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "lib", "LICENSE.*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name := "lib/" + filepath.Base(file)
		l.sources = append(l.sources, name)
		l.text = append(l.text, fmt.Sprintf("\n--- %s\n\n%s\n", name, bytes.TrimSpace(data))...)
	}
	return nil
}

// phrases tell licences by words that only they have.
var phrases = []struct{ spdx, words string }{
	{"EPL-2.0", "Eclipse Public License - v 2.0"},
	{"Apache-2.0", "Apache License Version 2.0, January 2004"},
	{"MIT", "to deal in the Software without restriction"},
	{"BSD-3-Clause", "Neither the name of"},
	{"BSD-2-Clause", "Redistribution and use in source and binary forms"},
}

// identify is the SPDX expression of a licence's text.
func identify(text []byte) (string, error) {
	words := strings.Join(strings.Fields(string(text)), " ")
	if strings.Contains(words, "SPDX-License-Identifier: EPL-2.0 or BSD-3-Clause") {
		return "EPL-2.0 OR BSD-3-Clause", nil
	}
	switch { // MIT's modules around another's library
	case strings.Contains(words, "--- lib/LICENSE.libheif"):
		return "MIT AND LGPL-3.0-or-later", nil
	case strings.Contains(words, "--- lib/LICENSE.libavif"):
		return "MIT AND BSD-2-Clause", nil
	}
	i := slices.IndexFunc(phrases, func(p struct{ spdx, words string }) bool { return strings.Contains(words, p.words) })
	if i < 0 {
		return "", errors.New("no licence that is known")
	}
	return phrases[i].spdx, nil
}

// notices is the text that goes with every binary.
func notices(list []licence) []byte {
	var b bytes.Buffer
	b.WriteString("dynvitd contains the modules below, each under its own licence.\n")
	b.WriteString("Their sources, those of paho.mqtt.golang (EPL-2.0) included, are at https://MODULE;\n" +
		"`go mod download MODULE@VERSION` fetches them.\n\n")
	for _, l := range list {
		fmt.Fprintf(&b, "  %s %s: %s\n", l.module.Path, l.module.Version, l.spdx)
	}
	for _, l := range list {
		fmt.Fprintf(&b, "\n%s\n%s %s: %s\n%s", strings.Repeat("=", 78), l.module.Path, l.module.Version, l.spdx, l.text)
	}
	return b.Bytes()
}
