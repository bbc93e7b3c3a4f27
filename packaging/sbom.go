package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The bill of materials is CycloneDX 1.6, of what is linked into the binary.
type sbom struct {
	Format       string      `json:"bomFormat"`
	Spec         string      `json:"specVersion"`
	Version      int         `json:"version"`
	Metadata     sbomAbout   `json:"metadata"`
	Components   []component `json:"components"`
	Dependencies []depends   `json:"dependencies"`
}

type sbomAbout struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type     string          `json:"type"`
	Ref      string          `json:"bom-ref"`
	Name     string          `json:"name"`
	Version  string          `json:"version"`
	Hashes   []hash          `json:"hashes,omitempty"`
	Licences []licenceChoice `json:"licenses"`
	PURL     string          `json:"purl"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licenceChoice struct {
	Expression string `json:"expression"`
}

type depends struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// billOf writes the bill of one architecture's binary. A module's hash is the one of
// go.sum (h1, SHA-256 of the hashes of its files).
func billOf(p *program, arch string, list []licence, at time.Time) ([]byte, error) {
	sum := sha256.Sum256(p.binary[arch])
	self := newComponent("application", "dynvit", p.version, "Apache-2.0", sum[:])
	self.PURL += "?goarch=" + arch
	bill := sbom{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: sbomAbout{at.UTC().Format(time.RFC3339), self}}
	needs := depends{Ref: self.Ref, On: []string{}}
	for _, l := range list {
		var sum []byte
		if l.module.Sum != "" {
			var err error
			if sum, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(l.module.Sum, "h1:")); err != nil {
				return nil, fmt.Errorf("sum of %s: %w", l.module.Path, err)
			}
		}
		c := newComponent("library", l.module.Path, l.module.Version, l.spdx, sum)
		bill.Components = append(bill.Components, c)
		needs.On = append(needs.On, c.Ref)
	}
	bill.Dependencies = []depends{needs}
	text, err := json.MarshalIndent(bill, "", "  ")
	return append(text, '\n'), err
}

func newComponent(kind, name, version, spdx string, sum []byte) component {
	purl := "pkg:golang/" + name + "@" + version
	c := component{Type: kind, Ref: purl, Name: name, Version: version, PURL: purl, Licences: []licenceChoice{{spdx}}}
	if sum != nil {
		c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}}
	}
	return c
}
