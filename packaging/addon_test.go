package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// addonDefaults are what Home Assistant takes for keys that are left out
// (https://developers.home-assistant.io/docs/add-ons/configuration). Its linter wants
// them left out. nil: none.
var addonDefaults = map[string]any{
	"name": nil, "version": nil, "slug": nil, "description": nil, "arch": nil, "url": nil, "image": nil, "map": nil, "devices": nil,
	"environment": nil, "machine": nil, "ports": nil, "ports_description": nil, "privileged": nil, "services": nil, "discovery": nil, "ulimits": nil,
	"homeassistant": nil, "webui": nil, "options": nil, "schema": nil, "backup_exclude": nil, "backup_pre": nil, "backup_post": nil, "panel_title": nil,
	"breaking_versions": nil, "ingress_entry": nil,
	"startup": "application", "boot": "auto", "stage": "stable", "backup": "hot", "hassio_role": "default", "timeout": 10, "ingress_port": 8099,
	"init": true, "apparmor": true, "panel_admin": true, "panel_icon": "mdi:puzzle",
	"audio": false, "auth_api": false, "devicetree": false, "docker_api": false, "full_access": false, "gpio": false, "hassio_api": false,
	"homeassistant_api": false, "host_dbus": false, "host_ipc": false, "host_network": false, "host_pid": false, "host_uts": false, "ingress": false,
	"ingress_stream": false, "journald": false, "kernel_modules": false, "legacy": false, "realtime": false, "stdin": false, "tmpfs": false,
	"uart": false, "udev": false, "usb": false, "video": false,
}

// addonFiles are the add-on's, by their paths in the archive.
func addonFiles(t *testing.T) map[string][]byte {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(made(t, "_addon.tar.gz").data))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for archive := tar.NewReader(unpacked); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if found[h.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAddon holds the add-on to what Home Assistant's linter of add-ons checks: known
// keys alone, none with its default, none that is deprecated, and all that must be there.
func TestAddon(t *testing.T) {
	files := addonFiles(t)
	var c map[string]any
	if err := yaml.Unmarshal(files["dynvit/config.yaml"], &c); err != nil {
		t.Fatal(err)
	}
	for key, value := range c {
		normal, known := addonDefaults[key]
		if !known {
			t.Errorf("%s is no key of an add-on, or a deprecated one", key)
		}
		if reflect.DeepEqual(value, normal) {
			t.Errorf("%s: %v is the default: leave it out", key, value)
		}
	}
	for _, key := range []string{"name", "version", "slug", "description", "arch"} {
		if c[key] == nil || c[key] == "" {
			t.Errorf("%s is missing", key)
		}
	}
	if c["version"] != gathered(t).program.version {
		t.Errorf("version %v", c["version"])
	}
	list, _ := c["arch"].([]any)
	if len(list) != len(archs) {
		t.Errorf("arch %v, and the packages are for %v", list, archs)
	}
	for _, arch := range list {
		if name := path.Join("dynvit", arch.(string), "usr/bin/dynvitd"); !slices.Contains([]any{"aarch64", "amd64"}, arch) || len(files[name]) == 0 {
			t.Errorf("arch %s: %s has %d bytes", arch, name, len(files[name]))
		}
	}
	for _, m := range c["map"].([]any) {
		if kind := m.(map[string]any)["type"]; kind != "addon_config" {
			t.Errorf("%v is mapped, want the add-on's own folder alone", kind)
		}
	}
	if !strings.Contains(string(files["dynvit/Dockerfile"]), "\nHEALTHCHECK ") {
		t.Error("no health check")
	}
}
