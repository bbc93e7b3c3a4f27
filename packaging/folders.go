package main

import (
	"bytes"
	"path/filepath"
)

// What is used as a folder comes as an archive of one: the Home Assistant add-on,
// which Home Assistant builds from the files in it, and the compose file with what
// it mounts.

// addon is the folder for /addons of a Home Assistant box, with the container's
// files for each architecture by the name that Home Assistant has for it.
func (b *bundle) addon() (product, error) {
	list, err := b.folder("addon")
	if err != nil {
		return product{}, err
	}
	for _, arch := range b.archs {
		inside, err := b.imageFiles(arch)
		if err != nil {
			return product{}, err
		}
		for _, f := range inside {
			f.path = "dynvit/" + addonArch(arch) + f.path
			list = append(list, f)
		}
	}
	return b.folderProduct("addon", list)
}

// addonArch is Home Assistant's name of an architecture.
func addonArch(arch string) string {
	if arch == "arm64" {
		return "aarch64"
	}
	return arch
}

// compose is the folder with compose.yaml.
func (b *bundle) compose() (product, error) {
	list, err := b.folder("compose")
	if err != nil {
		return product{}, err
	}
	return b.folderProduct("compose", list)
}

// folder reads the files below one of packaging's folders, with the version put in.
func (b *bundle) folder(name string) ([]file, error) {
	list, err := filesBelow(filepath.Join(b.root, "packaging", name))
	for i := range list {
		list[i].path = "dynvit/" + list[i].path
		list[i].data = bytes.ReplaceAll(list[i].data, []byte("@VERSION@"), []byte(b.program.version))
	}
	return list, err
}

func (b *bundle) folderProduct(name string, list []file) (product, error) {
	data, err := archive(list, b.at)
	return product{"dynvit_" + b.program.version + "_" + name + ".tar.gz", gzipped(data)}, err
}
