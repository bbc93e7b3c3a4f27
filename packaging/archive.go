package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one that is packed, owned by root; with a path that ends in / it is a folder
// of the container's user.
type file struct {
	path string // absolute where it is installed
	mode int64
	data []byte
}

// filesBelow reads a folder's files, by paths relative to it.
func filesBelow(dir string) ([]file, error) {
	var list []file
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		list = append(list, file{filepath.ToSlash(name), 0o644, data})
		return err
	})
	return list, err
}

// archive packs files and the folders above them as a tar, by path, so that equal files
// make equal archives.
func archive(files []file, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	files = slices.SortedFunc(slices.Values(files), func(a, b file) int { return strings.Compare(a.path, b.path) })
	made := map[string]bool{}
	for _, f := range files {
		if err := addFolders(w, path.Dir(strings.TrimSuffix(f.path, "/")), made, at); err != nil {
			return nil, err
		}
		h := header(f.path, f.mode, at)
		h.Size = int64(len(f.data))
		if strings.HasSuffix(f.path, "/") {
			h.Uid, h.Gid = imageUser, imageUser
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// addFolders writes a folder and those above it that are not made yet.
func addFolders(w *tar.Writer, dir string, made map[string]bool, at time.Time) error {
	if dir == "." || dir == "/" || made[dir] {
		return nil
	}
	if err := addFolders(w, path.Dir(dir), made, at); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(header(dir+"/", 0o755, at))
}

func header(name string, mode int64, at time.Time) *tar.Header {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: mode, ModTime: at, Format: tar.FormatUSTAR}
	if strings.HasSuffix(name, "/") {
		h.Typeflag = tar.TypeDir
	}
	return h
}

// gzipped compresses without a name or a time.
func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
	w.Write(data)                                         // a buffer takes all
	w.Close()
	return b.Bytes()
}
