package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	roots "golang.org/x/crypto/x509roots/fallback/bundle"
)

// The image's user: not root, and no other's number on a usual host.
const imageUser = 65532

// imageFiles are all that a container has: the program, authorities for TLS, its
// user, folders, licences.
func (b *bundle) imageFiles(arch string) ([]file, error) {
	notice, err := os.ReadFile(filepath.Join(b.root, "NOTICE"))
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile(filepath.Join(b.root, "LICENSE"))
	id := strconv.Itoa(imageUser)
	return []file{
		{"/usr/bin/dynvitd", 0o755, b.program.binary[arch]},
		{"/etc/ssl/certs/ca-certificates.crt", 0o644, authorities()},
		{"/etc/passwd", 0o644, []byte("root:x:0:0:root:/:/none\ndynvit:x:" + id + ":" + id + ":dynvit:/var/lib/dynvit:/none\n")},
		{"/etc/group", 0o644, []byte("root:x:0:\ndynvit:x:" + id + ":\n")},
		{"/usr/share/doc/dynvit/LICENSE", 0o644, licence},
		{"/usr/share/doc/dynvit/NOTICE", 0o644, notice},
		{"/usr/share/doc/dynvit/THIRD-PARTY.gz", 0o644, gzipped(b.notices)},
		{"/usr/share/doc/dynvit/dynvit.cdx.json", 0o644, b.bills[arch]},
	}, err
}

// authorities are Mozilla's, as golang.org/x/crypto has them, without those that hold
// for some names alone, which PEM cannot say.
func authorities() []byte {
	var b bytes.Buffer
	for c := range roots.Roots() {
		if c.Constraint == nil {
			pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate}) // a buffer takes all
		}
	}
	return b.Bytes()
}

// image is the one of an architecture.
func (b *bundle) image(arch string) (v1.Image, error) {
	list, err := b.imageFiles(arch)
	if err != nil {
		return nil, err
	}
	list = append(list, file{"/var/lib/dynvit/", 0o700, nil}, file{"/tmp/", 0o700, nil})
	packed, err := archive(list, b.at)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: b.at}, CreatedBy: "make package"}})
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, b.imageConfig(img, arch))
}

// imageConfig says how a container of the image runs.
func (b *bundle) imageConfig(img v1.Image, arch string) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		panic(err) // of an image in memory
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = "linux", arch, v1.Time{Time: b.at}
	c.Config = v1.Config{
		User:        fmt.Sprintf("%d:%d", imageUser, imageUser),
		Entrypoint:  []string{"/usr/bin/dynvitd"},
		Cmd:         []string{"run", "--config", "/etc/dynvit/dynvit.yaml"},
		Env:         []string{"PATH=/usr/bin", "HOME=/var/lib/dynvit", "STATE_DIRECTORY=/var/lib/dynvit", "DYNVIT_HTTP_LISTEN=127.0.0.1:8484"},
		WorkingDir:  "/",
		Volumes:     map[string]struct{}{"/var/lib/dynvit": {}},
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/usr/bin/dynvitd", "healthcheck"}, Interval: 30 * time.Second, Timeout: 10 * time.Second, StartPeriod: 2 * time.Minute, Retries: 3},
		StopSignal:  "SIGTERM",
		Labels:      map[string]string{"org.opencontainers.image.title": "dynvit", "org.opencontainers.image.description": summary, "org.opencontainers.image.version": b.program.version, "org.opencontainers.image.licenses": "Apache-2.0"},
	}
	return c
}

// imageProduct is the image of all architectures: an OCI layout in a tar, which podman and
// Docker load.
func (b *bundle) imageProduct() (product, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range b.archs {
		img, err := b.image(arch)
		if err != nil {
			return product{}, fmt.Errorf("image for %s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: arch},
		}})
	}
	dir, err := os.MkdirTemp("", "dynvit-image")
	if err != nil {
		return product{}, err
	}
	defer os.RemoveAll(dir)
	name := "localhost/dynvit:" + b.program.version
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return product{}, err
	}
	err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": b.program.version,
		"io.containerd.image.name":          name,
	}))
	if err != nil {
		return product{}, err
	}
	list, err := filesBelow(dir)
	if err != nil {
		return product{}, err
	}
	data, err := archive(list, b.at)
	return product{"dynvit_" + b.program.version + "_oci.tar", data}, err
}
