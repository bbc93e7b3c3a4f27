package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// untar unpacks into a folder, with owners where that is allowed.
func untar(t *testing.T, r io.Reader, dir string) {
	t.Helper()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var data []byte
			if data, err = io.ReadAll(archive); err == nil {
				err = os.WriteFile(path, data, h.FileInfo().Mode())
			}
		}
		if err == nil && os.Getuid() == 0 {
			err = errors.Join(os.Chown(path, h.Uid, h.Gid), os.Chmod(path, h.FileInfo().Mode()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// images are those of the product, by architecture, as who loads it reads them.
func images(t *testing.T) map[string]v1.Image {
	t.Helper()
	dir := t.TempDir()
	untar(t, bytes.NewReader(made(t, "_oci.tar").data), dir)
	outer, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, err := outer.IndexManifest()
	if err != nil || len(top.Manifests) != 1 {
		t.Fatalf("%v, %+v", err, top)
	}
	if name := top.Manifests[0].Annotations["io.containerd.image.name"]; name != "localhost/dynvit:"+gathered(t).program.version {
		t.Errorf("the image is called %q", name)
	}
	index, err := outer.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]v1.Image{}
	for _, m := range list.Manifests {
		if found[m.Platform.Architecture], err = index.Image(m.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestImage: each architecture's image fits together, holds the program and no other,
// and is run by a user without rights.
func TestImage(t *testing.T) {
	found := images(t)
	if len(found) != len(archs) {
		t.Fatalf("%d images", len(found))
	}
	for arch, img := range found {
		if err := validate.Image(img); err != nil {
			t.Errorf("%s: %v", arch, err)
		}
		c, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if c.Architecture != arch || c.Config.User != "65532:65532" || strings.Join(c.Config.Healthcheck.Test, " ") != "CMD /usr/bin/dynvitd healthcheck" {
			t.Errorf("%s: %+v", arch, c)
		}
		for archive := tar.NewReader(mutate.Extract(img)); ; {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			program := h.Typeflag != tar.TypeDir && h.Mode&0o111 != 0
			if program != (h.Name == "usr/bin/dynvitd") || h.Mode&0o6022 != 0 {
				t.Errorf("%s: %s has mode %o", arch, h.Name, h.Mode)
			}
		}
	}
}

// TestContainer runs the image's own command under crun until its own health check
// says that it is alive, and ends it.
func TestContainer(t *testing.T) {
	crun := need(t, "crun", "crun")
	img := images(t)[runtime.GOARCH]
	if os.Getuid() != 0 || img == nil {
		missing(t, "needs root and an image for "+runtime.GOARCH)
	}
	dir := t.TempDir()
	untar(t, mutate.Extract(img), filepath.Join(dir, "rootfs"))
	writeSpec(t, dir, img)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	// A file system of control groups of its own, that crun takes no other's for a mixed one.
	const script = `umount -R /sys/fs/cgroup 2>/dev/null || true
		mount -t cgroup2 none /sys/fs/cgroup || exit 70
		crun="$0 --cgroup-manager=disabled --root state"
		$crun run box & child=$!
		trap '$crun kill box KILL 2>/dev/null || true' EXIT
		until $crun exec box /usr/bin/dynvitd healthcheck; do
			kill -0 $child || exit 71
			sleep 0.5
		done
		echo healthy
		$crun kill box TERM
		wait $child`
	c := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", script, crun)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() == 70 {
		missing(t, "no control groups can be mounted here: "+string(out))
	}
	if err != nil || !strings.Contains(string(out), "healthy") || !strings.Contains(string(out), "msg=ready") {
		t.Errorf("crun: %v\n%s", err, out)
	}
}

// writeSpec puts an image's configuration into crun's own, without a network but
// loopback, and with a root that cannot be written.
func writeSpec(t *testing.T, dir string, img v1.Image) {
	t.Helper()
	if out, err := exec.Command("crun", "spec", "--bundle", dir).CombinedOutput(); err != nil {
		t.Fatalf("crun spec: %v\n%s", err, out)
	}
	file := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	process := spec["process"].(map[string]any)
	process["terminal"] = false
	process["args"] = append(c.Config.Entrypoint, c.Config.Cmd...)
	process["env"] = c.Config.Env
	process["user"] = map[string]int{"uid": imageUser, "gid": imageUser}
	sample, err := filepath.Abs("../config")
	if err != nil {
		t.Fatal(err)
	}
	spec["mounts"] = append(spec["mounts"].([]any),
		map[string]any{"destination": "/etc/dynvit", "type": "bind", "source": sample, "options": []string{"rbind", "ro"}},
		map[string]any{"destination": "/var/lib/dynvit", "type": "tmpfs", "source": "tmpfs", "options": []string{"mode=0777"}})
	if data, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
