package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	at    = time.Unix(1_800_000_000, 0).UTC()
	archs = []string{"amd64", "arm64"}
)

// missing skips the test for want of what, or fails it where everything must run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("DYNVIT_REQUIRE") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// need is the path of a program of a Debian package.
func need(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" is missing: install the Debian package "+pkg)
	}
	return path
}

var once = sync.OnceValues(func() (*bundle, error) { return gather("..", archs, "", at) })

// gathered is the bundle that the tests share; they don't change it.
func gathered(t *testing.T) *bundle {
	t.Helper()
	b, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var madeOnce = sync.OnceValues(func() ([]product, error) {
	b, err := once()
	if err != nil {
		return nil, err
	}
	return b.products()
})

// made are the products, by a unique part of their names.
func made(t *testing.T, part string) product {
	t.Helper()
	all, err := madeOnce()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if strings.Contains(p.name, part) {
			return p
		}
	}
	t.Fatalf("no product is called %s", part)
	return product{}
}

// save writes a product into a new folder and returns its path.
func save(t *testing.T, p product) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), p.name)
	if err := os.WriteFile(path, p.data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// dynvitd is the program of the packages for this machine.
func dynvitd(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	binary := gathered(t).program.binary[runtime.GOARCH]
	if binary == nil {
		missing(t, "no package is for "+runtime.GOARCH)
	}
	path := filepath.Join(t.TempDir(), "dynvitd")
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

// TestReproducible: the same sources at another path, in another zone, make the same
// bytes.
func TestReproducible(t *testing.T) {
	first, err := madeOnce()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "a", "sources")
	if out, err := exec.Command("sh", "-c", "mkdir -p $1 && cd $0 && tar c --exclude=./.git --exclude=./bin --exclude=.venv . | tar x -C $1", root, elsewhere).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, value := range map[string]string{"TZ": "Asia/Tokyo", "HOSTNAME": "other", "TMPDIR": t.TempDir(), "SOURCE_DATE_EPOCH": "1"} {
		t.Setenv(name, value)
	}
	other, err := gather(elsewhere, archs, "", at)
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.products()
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != 10 || len(second) != len(first) {
		t.Fatalf("%d and %d products, want 10", len(first), len(second))
	}
	for i, p := range first {
		if p.name != second[i].name || !bytes.Equal(p.data, second[i].data) {
			t.Errorf("%s and %s differ", p.name, second[i].name)
		}
	}
}

// TestChecksums: each product's sum is in the list.
func TestChecksums(t *testing.T) {
	list := string(made(t, "SHA256SUMS").data)
	all, err := madeOnce()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all[:len(all)-1] {
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(p.data), p.name); !strings.Contains(list, line) {
			t.Errorf("SHA256SUMS lacks %q", line)
		}
	}
	if n := strings.Count(list, "\n"); n != len(all)-1 {
		t.Errorf("%d sums of %d products", n, len(all)-1)
	}
}

// TestVersion: the packages carry the version that the program says.
func TestVersion(t *testing.T) {
	out, err := dynvitd(t, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version := strings.Fields(string(out))[1]
	for _, name := range []string{"_oci.tar", "_addon.tar.gz", "_compose.tar.gz", "_amd64.cdx.json"} {
		made(t, "dynvit_"+version+name)
	}
	for _, name := range []string{"dynvit_%s_amd64.deb", "dynvit_%s_arm64.deb", "dynvit-%s-1.x86_64.rpm", "dynvit-%s-1.aarch64.rpm"} {
		made(t, fmt.Sprintf(name, debianVersion(version)))
	}
}

// TestNotices: every module that is linked in is there with its licence's text, and in
// the bill of materials.
func TestNotices(t *testing.T) {
	b := gathered(t)
	var bill sbom
	if err := json.Unmarshal(b.bills["arm64"], &bill); err != nil {
		t.Fatal(err)
	}
	if len(b.program.modules) < 10 || len(bill.Components) != len(b.program.modules)+1 || len(bill.Dependencies[0].On) != len(bill.Components) {
		t.Fatalf("%d modules, %d in the bill", len(b.program.modules), len(bill.Components))
	}
	text := string(b.notices)
	for _, c := range bill.Components {
		if c.Licences[0].Expression == "" || c.Name != "std" && len(c.Hashes[0].Content) != 64 {
			t.Errorf("%s in the bill: %+v", c.Name, c)
		}
		if n := strings.Count(text, c.Name+" "+c.Version+": "+c.Licences[0].Expression+"\n"); n != 2 {
			t.Errorf("%s stands %d times in the notices, want in the list and above its text", c.Name, n)
		}
	}
	for _, want := range []string{"paho.mqtt.golang", "Eclipse Public License - v 2.0", "EPL-2.0 OR BSD-3-Clause", "The Go Authors"} {
		if !strings.Contains(text, want) {
			t.Errorf("the notices lack %q", want)
		}
	}
}

func TestUnknownLicence(t *testing.T) {
	for text, want := range map[string]string{
		"Permission is hereby granted … to deal\nin the Software without\n restriction": "MIT",
		"All rights reserved.": "", "": "",
	} {
		if got, err := identify([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestManual: every command, key and topic of docs/interface.md has come into the
// manual, and nothing of Markdown is left.
func TestManual(t *testing.T) {
	page, err := os.ReadFile("../docs/interface.md")
	if err != nil {
		t.Fatal(err)
	}
	b := gathered(t)
	all := ""
	for name, text := range b.pages {
		all += string(text)
		if left := regexp.MustCompile("(?m)^(\\| |#|```).*|\\]\\(").FindString(string(text)); left != "" {
			t.Errorf("%s: %q is left of the Markdown", name, left)
		}
	}
	plain := strings.NewReplacer(`\fB`, "", `\fR`, "", `\fP`, "", `\-`, "-", `\fI`, "").Replace(all)
	terms := regexp.MustCompile("(?m)^(?:### |\\| )`([^`]+)`").FindAllStringSubmatch(string(page), -1)
	if len(terms) < 100 || len(b.pages) != 3 {
		t.Fatalf("%d terms, %d pages", len(terms), len(b.pages))
	}
	for _, m := range terms {
		if !strings.Contains(plain, m[1]) {
			t.Errorf("the manual does not have %q", m[1])
		}
	}
}

// TestLintian: Debian's checker finds no error in the packages.
func TestLintian(t *testing.T) {
	lintian := need(t, "lintian", "lintian")
	for _, arch := range archs {
		out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error", save(t, made(t, "_"+arch+".deb"))).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", arch, err, out)
		}
	}
}

// TestConfigurations: the program takes the configurations that are handed out.
func TestConfigurations(t *testing.T) {
	pages, err := filepath.Glob("addon/*.md")
	if err != nil || len(pages) != 1 {
		t.Fatal(pages, err)
	}
	docs, err := os.ReadFile(pages[0])
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(docs)
	if m == nil {
		t.Fatal(pages[0] + " shows no configuration")
	}
	addon := save(t, product{"dynvit.yaml", bytes.ReplaceAll(m[1], []byte("\n   "), []byte("\n"))[3:]})
	for _, file := range []string{"../config/dynvit.yaml", "compose/dynvit.yaml", addon} {
		if out, err := dynvitd(t, "config", "check", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}
