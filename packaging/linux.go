package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers itself
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers itself
)

const (
	summary     = "camera frame classification with a token-pruned vision transformer"
	description = summary + `
dynvitd looks at the frames of cameras (V4L2, RTSP, HTTP, CSI), says what
they show with a vision transformer that drops the patches that tell it
nothing, and publishes labels over MQTT, to a broker or to one of its own.
It holds a latency budget by itself. Films and RTSP need ffmpeg.`
)

// distribution is where a kind of package puts what distributions put in different
// places.
type distribution struct {
	kind    string // nfpm's packager
	name    string // of the package
	zsh     string // folder of completions
	legal   string // folder of licences
	depends []string
	// replaces are packages that this one stands for, and can't be beside.
	replaces []string
	scripts  nfpm.Scripts
}

func distributions(root string) []distribution {
	deb, rpm := filepath.Join(root, "packaging", "deb"), filepath.Join(root, "packaging", "rpm")
	return []distribution{
		{
			kind: "deb", name: "dynvit", zsh: "/usr/share/zsh/vendor-completions", legal: "/usr/share/doc/dynvit",
			depends: []string{"systemd | systemd-standalone-sysusers | systemd-sysusers"},
			scripts: nfpm.Scripts{PostInstall: deb + "/postinst", PreRemove: deb + "/prerm", PostRemove: deb + "/postrm"},
		},
		{
			kind: "rpm", name: "dynvit", zsh: "/usr/share/zsh/site-functions", legal: "/usr/share/licenses/dynvit",
			depends: []string{"systemd"},
			scripts: nfpm.Scripts{PostInstall: rpm + "/post", PreRemove: rpm + "/preun", PostRemove: rpm + "/postun"},
		},
	}
}

// cudaDistribution is Debian's, of a program that needs a C library for the sake of CUDA's
// driver, and stands in the place of that which needs none.
func cudaDistribution(root string) distribution {
	d := distributions(root)[0]
	d.name, d.legal = "dynvit-cuda", "/usr/share/doc/dynvit-cuda"
	d.depends = append(d.depends, "libc6 (>= 2.17)")
	d.replaces = []string{"dynvit"}
	return d
}

// installed are the files of a package for Linux.
func (b *bundle) installed(arch string, l distribution) ([]file, error) {
	list := []file{
		{"/usr/bin/dynvitd", 0o755, b.program.binary[arch]},
		{"/usr/share/bash-completion/completions/dynvitd", 0o644, b.program.shells["bash"]},
		{"/usr/share/fish/vendor_completions.d/dynvitd.fish", 0o644, b.program.shells["fish"]},
		{l.zsh + "/_dynvitd", 0o644, b.program.shells["zsh"]},
		{"/usr/share/doc/" + l.name + "/dynvit.cdx.json", 0o644, b.bills[arch]},
		{l.legal + "/THIRD-PARTY.gz", 0o644, gzipped(b.notices)},
	}
	for name, page := range b.pages {
		list = append(list, file{"/usr/share/man/man" + name[len(name)-1:] + "/" + name + ".gz", 0o644, gzipped(page)})
	}
	copied := map[string]string{
		"systemd/dynvitd.service":  "/usr/lib/systemd/system/dynvitd.service",
		"systemd/dynvitd.sysusers": "/usr/lib/sysusers.d/dynvitd.conf",
		"systemd/dynvitd.tmpfiles": "/usr/lib/tmpfiles.d/dynvitd.conf",
		"systemd/dynvitd.rules":    "/usr/lib/udev/rules.d/70-dynvitd.rules",
		"config/dynvit.yaml":       "/etc/dynvit/dynvit.yaml",
		"NOTICE":                   l.legal + "/NOTICE",
		"metrics/alerts.yaml":      "/usr/share/dynvit/alerts.yaml",
		"metrics/dashboard.json":   "/usr/share/dynvit/dashboard.json",
	}
	if l.kind == "rpm" {
		copied["LICENSE"] = l.legal + "/LICENSE"
	} else {
		copied["packaging/deb/copyright"] = l.legal + "/copyright"
		if l.replaces == nil {
			copied["packaging/deb/overrides"] = "/usr/share/lintian/overrides/" + l.name
		}
		list = append(list, file{l.legal + "/changelog.gz", 0o644, gzipped(b.debianChangelog(l.name))})
	}
	for from, to := range copied {
		data, err := os.ReadFile(filepath.Join(b.root, from))
		if err != nil {
			return nil, err
		}
		mode := int64(0o644)
		if strings.HasPrefix(to, "/etc/") {
			mode = 0o640 // sources may carry passwords; the script gives it to the daemon's group
		}
		list = append(list, file{to, mode, data})
	}
	return list, nil
}

// debianChangelog is the package's changelog in Debian's format.
func (b *bundle) debianChangelog(name string) []byte {
	return fmt.Appendf(nil, "%s (%s) unstable; urgency=medium\n\n  * What has changed: CHANGELOG.md of the sources.\n\n -- %s  %s\n",
		name, debianVersion(b.program.version), maintainer, b.at.UTC().Format(time.RFC1123Z))
}

// debianVersion orders what comes before a release before it.
func debianVersion(version string) string { return strings.Replace(version, "-", "~", 1) }

// linuxPackage makes one deb or rpm of files, under its conventional name.
func (b *bundle) linuxPackage(arch string, l distribution, list []file) (product, error) {
	stage, err := os.MkdirTemp("", "dynvit-stage")
	if err != nil {
		return product{}, err
	}
	defer os.RemoveAll(stage)
	contents := files.Contents{}
	for i, f := range list {
		source := filepath.Join(stage, fmt.Sprint(i))
		if err := os.WriteFile(source, f.data, 0o600); err != nil {
			return product{}, err
		}
		contents = append(contents, b.content(f, source))
	}
	info := b.info(arch, l, contents)
	packager, err := nfpm.Get(l.kind)
	if err != nil {
		return product{}, err
	}
	if err := nfpm.PrepareForPackager(info, l.kind); err != nil {
		return product{}, err
	}
	var out bytes.Buffer
	err = packager.Package(info, &out)
	return product{packager.ConventionalFileName(info), out.Bytes()}, err
}

// info is what a package says of itself.
func (b *bundle) info(arch string, l distribution, contents files.Contents) *nfpm.Info {
	return nfpm.WithDefaults(&nfpm.Info{
		Name: l.name, Arch: arch, Platform: "linux", Version: b.program.version, MTime: b.at, DisableGlobbing: true,
		Section: "video", Priority: "optional", Maintainer: maintainer, Description: description, License: "Apache-2.0",
		Overridables: nfpm.Overridables{
			Contents: contents, Scripts: l.scripts, Depends: l.depends, Recommends: []string{"ffmpeg"},
			Provides: l.replaces, Conflicts: l.replaces, Replaces: l.replaces,
			RPM: nfpm.RPM{BuildHost: "localhost", Summary: summary},
		},
	})
}

// content describes a file to nfpm.
func (b *bundle) content(f file, source string) *files.Content {
	c := &files.Content{
		Source: source, Destination: f.path,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: fs.FileMode(f.mode), MTime: b.at},
	}
	if strings.HasPrefix(f.path, "/etc/") {
		c.Type = files.TypeConfigNoReplace
	}
	return c
}

// packageFor makes a distribution's package of an architecture.
func (b *bundle) packageFor(arch string, l distribution) (product, error) {
	list, err := b.installed(arch, l)
	if err != nil {
		return product{}, err
	}
	p, err := b.linuxPackage(arch, l, list)
	if err != nil {
		err = fmt.Errorf("%s for %s: %w", l.kind, arch, err)
	}
	return p, err
}

// linuxPackages makes the deb and the rpm of each architecture.
func (b *bundle) linuxPackages() ([]product, error) {
	var made []product
	for _, l := range distributions(b.root) {
		for _, arch := range slices.Sorted(slices.Values(b.archs)) {
			p, err := b.packageFor(arch, l)
			if err != nil {
				return nil, err
			}
			made = append(made, p)
		}
	}
	return made, nil
}
