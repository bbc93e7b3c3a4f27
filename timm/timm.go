// Package timm knows what timm's definitions of vision transformers set that the tensors
// of a checkpoint do not show: heads, eps, activation, pooling; and which are not plain
// ones. The table is that of timm 1.0.31, made by `python -m dynvit_train definitions`.
package timm

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"strings"
	"sync"
)

//go:embed definitions.csv
var table string

// parsed reads the table: a row by architecture, of cells by column.
var parsed = sync.OnceValue(func() map[string]map[string]string {
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		panic("timm: definitions.csv: " + err.Error())
	}
	list := make(map[string]map[string]string, len(rows))
	for _, row := range rows[1:] {
		cells := map[string]string{}
		for i, column := range rows[0] {
			if row[i] != "" {
				cells[column] = row[i]
			}
		}
		list[row[0]] = cells
	}
	return list
})

// Lookup finds an architecture by its name in timm, a tag behind a dot not minded. meta
// is what its definition sets, as metadata that modelfile.ParseManifest reads, the
// caller's to change. known is false for what is none of timm's plain vision
// transformers and DeiTs; err says in a few words why one of them is not taken.
func Lookup(architecture string) (meta map[string]string, known bool, err error) {
	name, _, _ := strings.Cut(architecture, ".")
	row, known := parsed()[name]
	if !known {
		return nil, false, nil
	}
	if why := row["refused"]; why != "" {
		return nil, true, errors.New(why)
	}
	meta = map[string]string{}
	for key, value := range row {
		if key != "architecture" {
			meta[key] = value
		}
	}
	return meta, true, nil
}
