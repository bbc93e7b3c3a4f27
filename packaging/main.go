// Command packaging makes what dynvit is installed from: packages for Debian and
// RPM, a container image, a Home Assistant add-on, and their checksums. It is a module
// of its own so that the program depends on none of the packagers. Equal sources
// give equal bytes, wherever and whenever they are built.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const maintainer = "dynvit developers <maintainers@users.noreply.r-seed-e1bd41aa.example>"

// product is a file that is made.
type product struct {
	name string
	data []byte
}

// bundle is what goes into the products.
type bundle struct {
	root    string // the repository
	at      time.Time
	archs   []string
	program *program
	bills   map[string][]byte // by architecture
	notices []byte
	pages   map[string][]byte // manual pages, by file name
}

func main() {
	root := flag.String("root", "..", "the repository")
	out := flag.String("o", "", "folder for what is made")
	archs := flag.String("arch", "amd64,arm64", "architectures")
	cuda := flag.String("cuda", "", "program with the CUDA backend for the one -arch (make cuda): makes its deb alone")
	epoch := flag.Int64("epoch", 0, "time to put into files, in seconds since 1970")
	flag.Parse()
	list := strings.Split(*archs, ",")
	if *out == "" || flag.NArg() > 0 || *cuda != "" && len(list) != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*root, *out, list, *cuda, time.Unix(*epoch, 0)); err != nil {
		fmt.Fprintln(os.Stderr, "packaging: "+err.Error())
		os.Exit(1)
	}
}

func run(root, out string, archs []string, cuda string, at time.Time) error {
	b, err := gather(root, archs, cuda, at)
	if err != nil {
		return err
	}
	products := b.products
	if cuda != "" {
		products = b.cudaProducts
	}
	made, err := products()
	if err != nil {
		return err
	}
	return write(out, made)
}

// products are all that is made, the checksums last.
func (b *bundle) products() ([]product, error) {
	made, err := b.linuxPackages()
	if err != nil {
		return nil, err
	}
	for _, one := range []func() (product, error){b.imageProduct, b.addon, b.compose} {
		p, err := one()
		if err != nil {
			return nil, err
		}
		made = append(made, p)
	}
	for _, arch := range b.archs {
		made = append(made, product{"dynvit_" + b.program.version + "_" + arch + ".cdx.json", b.bills[arch]})
	}
	return append(made, checksums(made)), nil
}

// cudaProducts are the deb of a program with the CUDA backend and its checksum.
func (b *bundle) cudaProducts() ([]product, error) {
	deb, err := b.packageFor(b.archs[0], cudaDistribution(b.root))
	return []product{deb, checksums([]product{deb})}, err
}

// gather builds the program, or takes that of a file, and writes what stands beside it in
// every product.
func gather(root string, archs []string, cuda string, at time.Time) (*bundle, error) {
	dir, err := os.MkdirTemp("", "dynvit-build")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := &bundle{root: root, at: at.UTC(), archs: archs, bills: map[string][]byte{}}
	if b.program, err = build(root, dir, archs, cuda); err != nil {
		return nil, err
	}
	list, err := licences(root, b.program)
	if err != nil {
		return nil, err
	}
	b.notices = notices(list)
	for _, arch := range archs {
		if b.bills[arch], err = billOf(b.program, arch, list, b.at); err != nil {
			return nil, err
		}
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "interface.md"))
	if err != nil {
		return nil, err
	}
	b.pages, err = manualPages(string(page), b.program.version, b.at.Format("2006-01-02"))
	return b, err
}

// checksums is the list of SHA-256 that sha256sum -c takes.
func checksums(made []product) product {
	var lines []string
	for _, p := range made {
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(p.data), p.name))
	}
	slices.Sort(lines)
	return product{"SHA256SUMS", []byte(strings.Join(lines, ""))}
}

// write puts the products into a folder and says what it put there.
func write(dir string, made []product) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range made {
		path := filepath.Join(dir, p.name)
		if err := os.WriteFile(path, p.data, 0o644); err != nil {
			return err
		}
		fmt.Printf("%9d  %s\n", len(p.data), path)
	}
	return nil
}
