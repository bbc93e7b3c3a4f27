package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"dynvit/internal/needs"
)

// panel is one of a Grafana dashboard.
type panel struct {
	ID      int
	Type    string
	Title   string
	Targets []struct{ Expr string }
	GridPos struct{ X, Y, W, H int }
}

type dashboard struct {
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	data, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

type rules struct {
	Groups []struct {
		Rules []struct{ Alert, Expr string }
	}
}

func readAlerts(t *testing.T) (r rules) {
	t.Helper()
	data, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// expressions are all that dashboard and alerts ask for, by where it stands. What Grafana
// puts in is put in.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	d := readDashboard(t)
	grafana := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$camera", ".*")
	for _, p := range d.Panels {
		for i, target := range p.Targets {
			found[fmt.Sprintf("panel %q, %d", p.Title, i)] = grafana.Replace(target.Expr)
		}
	}
	for _, v := range d.Templating.List {
		if m := regexp.MustCompile(`^label_values\((.*), \w+\)$`).FindStringSubmatch(v.Definition); m != nil {
			found["variable "+v.Name] = grafana.Replace(m[1])
		} else if v.Type == "query" {
			t.Errorf("variable %s is of %q", v.Name, v.Definition)
		}
	}
	for _, g := range readAlerts(t).Groups {
		for _, r := range g.Rules {
			found["alert "+r.Alert] = r.Expr
		}
	}
	if len(found) < 40 {
		t.Fatalf("only %d expressions", len(found))
	}
	return found
}

var (
	matchers = regexp.MustCompile(`\{[^{}]*\}|\[[^\[\]]*\]|"[^"]*"`)
	grouping = regexp.MustCompile(`\b(by|on|without|ignoring|group_left|group_right) *\(([^()]*)\)`)
	word     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*( *\()?`)
	matcher  = regexp.MustCompile(`(\w+) *(?:=~|!~|!=|=)`)
)

// TestExpressionsNameWhatExists: what dashboard and alerts ask for are metrics and
// labels that the page has, or that every scrape has.
func TestExpressionsNameWhatExists(t *testing.T) {
	text := page(t, busy("door"), "")
	for where, expr := range expressions(t) {
		known := []string{"instance", "job", "le"}
		plain := grouping.ReplaceAllString(matchers.ReplaceAllString(expr, ""), "")
		for _, name := range word.FindAllString(plain, -1) {
			if strings.HasSuffix(name, "(") || slices.Contains([]string{"and", "or", "unless", "up"}, name) {
				continue
			}
			if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(text) {
				t.Errorf("%s: there is no metric %s", where, name)
			}
			known = append(known, labels(text, strings.TrimSuffix(name, "_bucket"))...)
		}
		var used []string
		for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
			used = append(used, strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })...)
		}
		for _, m := range matchers.FindAllString(expr, -1) {
			for _, l := range matcher.FindAllStringSubmatch(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(m, ""), -1) {
				used = append(used, l[1])
			}
		}
		for _, l := range used {
			if !slices.Contains(known, l) {
				t.Errorf("%s: no metric in it has the label %s", where, l)
			}
		}
	}
}

// TestPromtoolTakesTheExpressions: each is one of Prometheus' language, by its own parser.
func TestPromtoolTakesTheExpressions(t *testing.T) {
	promtool := needs.Program(t, "promtool", "prometheus")
	var list []map[string]string
	for where, expr := range expressions(t) {
		list = append(list, map[string]string{"record": "one:" + regexp.MustCompile(`\W`).ReplaceAllString(where, "_"), "expr": expr})
	}
	data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "all", "rules": list}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("%d rules found", len(list))) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAlerts: Prometheus takes the alerts, and each of them fires where testdata/alerts.yaml
// says, and is silent on a box where all is well.
func TestAlerts(t *testing.T) {
	promtool := needs.Program(t, "promtool", "prometheus")
	for _, args := range [][]string{{"check", "rules", "--lint-fatal", "alerts.yaml"}, {"test", "rules", "testdata/alerts.yaml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
	data, err := os.ReadFile("testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct {
		Tests []struct {
			Name   string
			Alerts []struct {
				Name    string `yaml:"alertname"`
				Expects []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	silent, fires := map[string]bool{}, map[string]bool{}
	for _, c := range cases.Tests {
		for _, a := range c.Alerts {
			silent[a.Name] = silent[a.Name] || c.Name == "all is well" && len(a.Expects) == 0
			fires[a.Name] = fires[a.Name] || len(a.Expects) > 0
		}
	}
	n := 0
	for _, g := range readAlerts(t).Groups {
		for _, r := range g.Rules {
			if n++; !silent[r.Alert] || !fires[r.Alert] {
				t.Errorf("%s is not tried where all is well (%v) or where it is to fire (%v)", r.Alert, silent[r.Alert], fires[r.Alert])
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d alerts", n)
	}
}

// TestMonitoringPage: Prometheus takes the configuration that docs/monitoring.md shows, and
// the page names each alert.
func TestMonitoringPage(t *testing.T) {
	doc, err := os.ReadFile("../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	var named, exist []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(Dynvit\\w+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		named = append(named, m[1])
	}
	for _, g := range readAlerts(t).Groups {
		for _, r := range g.Rules {
			exist = append(exist, r.Alert)
		}
	}
	if !slices.Equal(named, exist) {
		t.Errorf("the page names %q, there are %q", named, exist)
	}
	m := regexp.MustCompile("(?s)```yaml\n(rule_files: .*?)```").FindSubmatch(doc)
	if m == nil {
		t.Fatal("the page shows no configuration of Prometheus")
	}
	file := filepath.Join(t.TempDir(), "prometheus.yaml")
	if err := os.WriteFile(file, m[1], 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(needs.Program(t, "promtool", "prometheus"), "check", "config", "--syntax-only", file).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDashboardIsWhole: nearly every metric of ours is on it or in an alert, each panel has its own number and
// place, and something to show.
func TestDashboardIsWhole(t *testing.T) {
	all := ""
	for _, expr := range expressions(t) {
		all += expr + "\n"
	}
	for _, m := range typed.FindAllStringSubmatch(page(t, busy("door"), ""), -1) {
		offPage := []string{"dynvit_outbox_on_disk", "process_open_fds"}
		if !strings.HasPrefix(m[1], "go_") && !strings.Contains(all, m[1]) != slices.Contains(offPage, m[1]) {
			t.Errorf("%s: asked for %v", m[1], strings.Contains(all, m[1]))
		}
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range readDashboard(t).Panels {
		if ids[p.ID] || (p.Type != "row" && len(p.Targets) == 0) || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d, %q: %+v", p.ID, p.Title, p)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" {
					t.Fatalf("panels %q and %q lie over each other", taken[at], p.Title)
				}
				taken[at] = p.Title
			}
		}
	}
}
