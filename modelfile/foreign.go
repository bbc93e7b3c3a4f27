package modelfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Files that are taken for models and are something else: what they are, and what to do.
const (
	isLFS         = "a Git LFS pointer, not the file itself: fetch it with `git lfs pull`, or download it from the page of the model"
	isPage        = "an HTML page, not a model: a download that needed a login or another address gives such a page"
	isXML         = "an XML text, not a model: most likely a server's answer that the file is not to be had"
	isGGUF        = "a GGUF file (llama.cpp), whose weights are quantised for another program: import the .safetensors or .pth it was made from"
	isHDF5        = "an HDF5 file (Keras, TensorFlow): import weights of PyTorch, .safetensors or .pth"
	isTFLite      = "a TensorFlow Lite model: import weights of PyTorch, .safetensors or .pth"
	isNumpy       = "a NumPy array: import weights of PyTorch; timm's create_model(…, checkpoint_path=FILE) reads JAX's .npz, torch.save keeps its state_dict()"
	isGzip        = "compressed with gzip: unpack it first"
	isTar         = "a tar archive: unpack it first"
	isXz          = "compressed with xz: unpack it first"
	isZstd        = "compressed with zstd: unpack it first"
	isSevenZip    = "a 7-Zip archive: unpack it first"
	isJPEG        = "a JPEG picture, not a model"
	isPNG         = "a PNG picture, not a model"
	isONNX        = "an ONNX model: the exporter renamed and folded its weights; import the checkpoint it was exported from (.safetensors or .pth)"
	isFlax        = "a Flax checkpoint (msgpack): import weights of PyTorch, .safetensors or .pth"
	isJSON        = "a JSON text, not weights: name the folder, or the .safetensors or .pth in it"
	isPickle      = "a pickle that torch.save did not write: save the state dict with torch.save or safetensors"
	isZeros       = "nothing but zero bytes: a download that broke off, or a damaged disk"
	isTorchScript = "a TorchScript archive (torch.jit.save): keep its weights with torch.save(torch.jit.load(FILE).state_dict(), \"weights.pth\") and import those"
	isPT2         = "an exported program (torch.export, .pt2): keep its weights with torch.save(torch.export.load(FILE).state_dict, \"weights.pth\") and import those"
	isNpz         = "a NumPy archive (.npz): timm's create_model(…, checkpoint_path=FILE) reads JAX's; import the state_dict() that torch.save keeps of it"
	isKeras       = "a Keras model: import weights of PyTorch, .safetensors or .pth"
	isZipped      = "a zip archive around a model: unpack it first"
)

// foreign is an error that says what a file is, where its first bytes tell that it is no
// model; nil else.
func foreign(data []byte) error {
	if hasHeader(data) {
		return nil
	}
	head := data[:min(len(data), 512)]
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"))
	for _, k := range []struct {
		in     []byte
		prefix string
		what   string
	}{
		{text, "version https://git-lfs", isLFS}, {text, "<!doctype html", isPage}, {text, "<html", isPage}, {text, "<?xml", isXML},
		{text, "{", isJSON}, {text, "[", isJSON},
		{head, "GGUF", isGGUF}, {head, "\x89HDF\r\n\x1a\n", isHDF5}, {head[min(4, len(head)):], "TFL3", isTFLite}, {head, "\x93NUMPY", isNumpy},
		{head, "\x1f\x8b", isGzip}, {head, "\xfd7zXZ\x00", isXz}, {head, "\x28\xb5\x2f\xfd", isZstd}, {head, "7z\xbc\xaf\x27\x1c", isSevenZip},
		{head, "\xff\xd8\xff", isJPEG}, {head, "\x89PNG\r\n", isPNG}, {head[min(257, len(head)):], "ustar", isTar},
	} {
		if bytes.HasPrefix(k.in, []byte(k.prefix)) {
			return errors.New("is " + k.what)
		}
	}
	if isProtobuf(head) {
		return errors.New("is " + isONNX)
	}
	if isMsgpack(head) {
		return errors.New("is " + isFlax)
	}
	if len(head) == 512 && len(bytes.TrimLeft(head, "\x00")) == 0 {
		return errors.New("is " + isZeros)
	}
	return nil
}

// hasHeader reports whether a safetensors header may begin the file: its length is a
// number of any bytes, also of those that other files begin with.
func hasHeader(data []byte) bool {
	return len(data) > lengthBytes && data[lengthBytes] == '{' && binary.LittleEndian.Uint64(data) <= uint64(len(data)-lengthBytes)
}

// isProtobuf knows an ONNX model: its ir_version, and behind it the producer's name or the
// graph (onnx.proto, ModelProto).
func isProtobuf(head []byte) bool {
	return len(head) > 3 && head[0] == 0x08 && head[1] >= 3 && head[1] < 32 && (head[2] == 0x12 || head[2] == 0x1a || head[2] == 0x3a)
}

// isMsgpack knows a map of a few names, as Flax keeps parameters.
func isMsgpack(head []byte) bool {
	return len(head) > 3 && head[0]&0xf0 == 0x80 && head[0] != 0x80 && head[1]&0xe0 == 0xa0 && head[1] != 0xa0 && printableName(head[2:min(len(head), 2+int(head[1]&0x1f))])
}

func printableName(b []byte) bool {
	return len(b) > 0 && !slices.ContainsFunc(b, func(c byte) bool { return c < ' ' || c > '~' })
}

// foreignZip is foreign by the names in a zip.
func foreignZip(files []*zip.File) error {
	is := func(test func(name string) bool) bool {
		return slices.ContainsFunc(files, func(f *zip.File) bool { return test(f.Name) })
	}
	ends := func(list ...string) func(string) bool {
		return func(name string) bool {
			return slices.ContainsFunc(list, func(e string) bool { return strings.HasSuffix(name, e) })
		}
	}
	named := func(list ...string) func(string) bool {
		return func(name string) bool { return slices.Contains(list, path.Base(name)) }
	}
	switch {
	case is(ends(".npy")):
		return errors.New("is " + isNpz)
	case is(named("serialized_exported_program.json", "archive_format")), is(ends("/models/model.json")):
		return errors.New("is " + isPT2)
	case is(named("constants.pkl")) && is(func(name string) bool { return strings.Contains(name, "code/") }):
		return errors.New("is " + isTorchScript)
	case is(named("model.weights.h5")):
		return errors.New("is " + isKeras)
	case !is(named("data.pkl")) && is(ends(".safetensors", ".pth", ".pt", ".bin", ".ckpt")):
		return errors.New("is " + isZipped)
	}
	return nil
}

// notTorch is an error for what begins like no checkpoint at all.
func notTorch(data []byte) error {
	if len(data) > 2 && data[0] == 0x80 && data[1] <= 5 {
		return errors.New("is " + isPickle)
	}
	return fmt.Errorf("neither form of a PyTorch checkpoint")
}
