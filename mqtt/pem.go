package mqtt

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
)

const maxPEM = 1 << 20 // bytes; a bundle of all public authorities has a fifth

// readPEM reads a PEM file, and says of other files what they are and how to make
// one of them. Its errors repeat nothing of a key.
func readPEM(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // editors on Windows write it
	if why := notPEM(path, data); why != "" {
		return nil, fmt.Errorf("%s %s", path, why)
	}
	return data, nil
}

// notPEM is what keeps data, which is path's, from being used; "" if nothing does.
func notPEM(path string, data []byte) string {
	block, _ := pem.Decode(data)
	switch {
	case block == nil && isPKCS12(data):
		return fmt.Sprintf("is PKCS #12, want PEM: openssl pkcs12 -in %s -nodes -out %s.pem", path, path)
	case block == nil && len(data) > 0 && data[0] == derSequence:
		return fmt.Sprintf("is DER, want PEM: openssl x509 -inform der -in %s -out %s.pem, or for a key openssl pkey", path, path)
	case block == nil:
		return "is no PEM file: no line begins with -----BEGIN"
	}
	for rest := data; ; {
		if block, rest = pem.Decode(rest); block == nil {
			return ""
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return fmt.Sprintf("is encrypted, and nobody is there to type its passphrase: want the key without one, readable by this program alone: openssl pkey -in %s -out %s.plain", path, path)
		}
	}
}

// derSequence begins every structure of certificates and keys in DER.
const derSequence = 0x30

// isPKCS12 looks for the version that it begins with: a long sequence, then the
// integer 3.
func isPKCS12(data []byte) bool {
	return len(data) > 7 && data[0] == derSequence && data[1] == 0x82 && bytes.Equal(data[4:7], []byte{2, 1, 3})
}
