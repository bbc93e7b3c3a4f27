package main

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// key is one of the configuration's, as `config schema` shows it.
type key struct {
	Type       any            `json:"type"`
	Properties map[string]key `json:"properties"`
	Enum       []string       `json:"enum"`
	Default    any            `json:"default"`
	Variable   string         `json:"x-variable"`
	Pattern    string         `json:"pattern"`
	Restart    bool           `json:"x-restart"`

	AdditionalProperties json.RawMessage `json:"additionalProperties"`
}

// keys are all that hold a value, by their whole names.
func keys(t *testing.T) map[string]key {
	t.Helper()
	stdout, stderr, code := outcome(t, dynvitd(t, "config", "schema"))
	var root key
	if err := json.Unmarshal([]byte(stdout), &root); err != nil || code != 0 {
		t.Fatal(err, code, stderr)
	}
	found := map[string]key{}
	var walk func(name string, k key)
	walk = func(name string, k key) {
		var one key
		switch {
		case k.Properties != nil:
			for word, sub := range k.Properties {
				walk(strings.TrimPrefix(name+"."+word, "."), sub)
			}
		case json.Unmarshal(k.AdditionalProperties, &one) == nil && one.Properties != nil:
			walk(name+".<name>", one)
		default:
			found[name] = k
		}
	}
	walk("", root)
	return found
}

// keyRows are the page's rows, by key.
func keyRows(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, r := range page(t).below(t, "## Configuration").rows("key") {
		found[codes(r[0])[0]] = r
	}
	return found
}

func TestInterfaceKeys(t *testing.T) {
	exist, named := keys(t), keyRows(t)
	same(t, "keys", slices.Collect(maps.Keys(named)), slices.Collect(maps.Keys(exist)))
	for name, k := range exist {
		row := named[name]
		if row == nil {
			continue
		}
		variable := "DYNVIT_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
		if k.Variable != variable {
			t.Errorf("%s: variable %s, the page's rule gives %s", name, k.Variable, variable)
		}
		if k.Type == "boolean" {
			k.Enum = []string{"true", "false"}
		}
		if k.Enum != nil {
			same(t, name, codes(row[1]), k.Enum)
		}
		if want := plain(t, k.Default); want != "" && (len(codes(row[2])) != 1 || plain(t, codes(row[2])[0]) != want) {
			t.Errorf("%s: the page says default %s, the schema %v", name, row[2], k.Default)
		}
	}
}

// TestInterfaceRestart: the page names the keys that need a restart, all of them.
func TestInterfaceRestart(t *testing.T) {
	_, rest, _ := strings.Cut(string(page(t).below(t, "### Reload")), "Held from the next start on, and named in the log: ")
	list, _, ok := strings.Cut(rest, ".\n")
	if !ok {
		t.Fatal("docs/interface.md does not list the keys that need a restart")
	}
	var need []string
	for name, k := range keys(t) {
		if k.Restart {
			need = append(need, name)
		}
	}
	same(t, "keys that need a restart", codes(list), need)
}

// TestUnit: the unit's commands and flags are the program's, which takes the
// configuration that the packages bring.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile("../../systemd/dynvitd.service")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^Exec(Start|Reload)=/usr/bin/dynvitd (.*)$`).FindAllStringSubmatch(string(unit), -1)
	if len(commands) != 2 {
		t.Fatalf("the unit runs %q", commands)
	}
	for _, m := range commands {
		args := strings.Fields(strings.ReplaceAll(m[2], "/etc/dynvit/dynvit.yaml", "../../config/dynvit.yaml"))
		if m[1] == "Start" {
			args = append(args, "--help") // refused beside a flag that is not known
		}
		if _, stderr, code := outcome(t, dynvitd(t, args...)); code != 0 {
			t.Errorf("%q: exit %d, %s", args, code, stderr)
		}
		if _, _, code := outcome(t, dynvitd(t, append(args, "--flag-of-no-version")...)); code != exitUsage {
			t.Errorf("%q and a flag that is not known: exit %d", args, code)
		}
	}
}

// plain is a default in one spelling; "" where there is none to name.
func plain(t *testing.T, v any) string {
	t.Helper()
	if text, ok := v.(string); ok {
		if d, err := time.ParseDuration(text); err == nil && text != "0" {
			return d.String()
		}
		return strings.ReplaceAll(text, " ", "")
	}
	if list, ok := v.([]any); ok && len(list) == 0 {
		return ""
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestInterfaceRanges: what the page says of a number's or a duration's range is
// what the error says that refuses a number outside.
func TestInterfaceRanges(t *testing.T) {
	ranges, checked := regexp.MustCompile(`out of range: want (.*)\n`), 0
	for name, k := range keys(t) {
		value := map[bool]string{false: "-1", true: "-1s"}[k.Pattern != ""]
		if k.Type != "integer" && k.Type != "number" && k.Pattern == "" {
			continue
		}
		checked++
		c := dynvitd(t, "config", "print")
		c.Env = append(c.Env, strings.ReplaceAll(k.Variable, "<NAME>", "DOOR")+"="+value)
		_, stderr, code := outcome(t, c)
		m := ranges.FindStringSubmatch(stderr)
		if m == nil || code != exitConfig {
			t.Errorf("%s=%s: exit %d, %q", name, value, code, stderr)
			continue
		}
		if row := keyRows(t)[name]; row == nil || row[1] != m[1] {
			t.Errorf("%s: the page says %q, the program %q", name, row, m[1])
		}
	}
	if checked < 10 {
		t.Errorf("only %d keys have a range", checked)
	}
}

// TestInterfaceSources: schemes, their options and the options' values are those
// that the errors name.
func TestInterfaceSources(t *testing.T) {
	rows, used := page(t).below(t, "## Sources").rows("scheme"), map[string]string{}
	same(t, "schemes", firstCodes(rows), wanted(t, "nonsense://x"))
	targets := map[string]string{"file": "a", "v4l2": "/dev/video0", "csi": "//0"}
	for _, r := range rows {
		for _, scheme := range codes(r[0]) {
			target, ok := targets[scheme]
			if strings.HasPrefix(scheme, "http") || strings.HasPrefix(scheme, "rtsp") {
				target, ok = "//host/", true
			}
			if !ok && scheme != "test" {
				if len(codes(r[2])) > 0 {
					t.Errorf("%s: which options has it?", scheme)
				}
				continue
			}
			options := wanted(t, scheme+":"+target+"#nonsense=1")
			same(t, "options of "+scheme, codes(r[2]), options)
			for _, o := range options {
				used[o] = scheme + ":" + target + "#" + o + "=nonsense"
			}
		}
	}
	values := page(t).below(t, "## Sources").rows("option")
	same(t, "options", firstCodes(values), slices.Collect(maps.Keys(used)))
	for _, r := range values {
		if want := refusal(t, used[codes(r[0])[0]]); !strings.HasPrefix(r[1], want) {
			t.Errorf("option %s: the page says %q, the program %q", r[0], r[1], want)
		}
	}
}

// refusal is what would be right in place of a source.
func refusal(t *testing.T, source string) string {
	t.Helper()
	_, stderr, code := outcome(t, dynvitd(t, "config", "print", "--source", source))
	_, want, ok := strings.Cut(strings.TrimSpace(stderr), ": want ")
	if !ok || code != exitUsage {
		t.Fatalf("--source %s: exit %d, %q", source, code, stderr)
	}
	return want
}

func wanted(t *testing.T, source string) []string {
	t.Helper()
	return strings.Split(refusal(t, source), ", ")
}
