package mqtt

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"dynvit/regular"
)

// TLS names PEM files. They are read for every connection, so that a certificate
// can be renewed without a restart.
type TLS struct {
	CA          string // authorities that may have signed the broker's certificate; "": the system's
	Certificate string // of this client, with those between it and its authority; "": none
	Key         string // of Certificate
}

// Check reads the files.
func (t TLS) Check() error {
	_, err := t.config("")
	return err
}

// config is for a connection to host.
func (t TLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := readPEM(t.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", t.CA)
		}
	}
	if t.Certificate == "" && t.Key == "" {
		return c, nil
	}
	pair, err := t.Pair()
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// Pair reads Certificate and Key.
func (t TLS) Pair() (tls.Certificate, error) {
	certificate, err := readPEM(t.Certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readPEM(t.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certificate, key) // its errors repeat no key
	if err != nil {
		return pair, fmt.Errorf("%s with key %s: %w", t.Certificate, t.Key, err)
	}
	return pair, nil
}

// errNotTLS says that the handshake failed without a word about TLS from the
// other side.
var errNotTLS = errors.New("no TLS on this port of the broker? (mqtt:// is without TLS)")

// dialTLS connects and shakes hands.
func dialTLS(ctx context.Context, dialer *net.Dialer, o *Options, at address) (net.Conn, error) {
	config, err := o.TLS.config(at.url.Hostname())
	if err != nil {
		return nil, err
	}
	conn, err := dialer.DialContext(ctx, "tcp", at.url.Host)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		var header tls.RecordHeaderError
		if errors.As(err, &header) || closedByPeer(err) {
			return nil, errNotTLS
		}
		return nil, err
	}
	return secure, nil
}

// tlsReason puts an error of TLS into words; "" where it is none.
func tlsReason(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var op *net.OpError
	switch {
	case errors.As(err, &unknown):
		return "the broker's certificate is signed by an unknown authority (ca_file names another)"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return validity(invalid.Cert)
	case errors.As(err, &host) && len(host.Certificate.DNSNames)+len(host.Certificate.IPAddresses) == 0:
		return commonNameAlone(host)
	case errors.As(err, &host):
		return fmt.Sprintf("the broker's certificate is for %s, not for %s", namesOf(host.Certificate), host.Host)
	case errors.As(err, &op) && op.Op == "remote error":
		return "the broker refuses TLS: " + strings.TrimPrefix(op.Err.Error(), "tls: ") + hint(op.Err.Error())
	}
	return ""
}

// hint names the keys behind an alert about this client's certificate.
func hint(alert string) string {
	if strings.Contains(alert, "certificate") {
		return " (cert_file and key_file name this client's)"
	}
	return ""
}

// validity says which end of a certificate's time this machine's clock is
// beyond. x509 calls both expired.
func validity(c *x509.Certificate) string {
	if from := c.NotBefore; time.Now().Before(from) {
		return fmt.Sprintf("the broker's certificate is valid from %s on: is this machine's clock right?", from.UTC().Format(time.RFC3339))
	}
	return "the broker's certificate expired at " + c.NotAfter.UTC().Format(time.RFC3339)
}

// commonNameAlone is about the certificates that old instructions make.
func commonNameAlone(err x509.HostnameError) string {
	kind := "DNS"
	if net.ParseIP(err.Host) != nil {
		kind = "IP"
	}
	return fmt.Sprintf("the broker's certificate has only a common name (%q), which says no more whose it is: make it anew with a subjectAltName (openssl's -addext subjectAltName=%s:%s)",
		err.Certificate.Subject.CommonName, kind, err.Host)
}

func namesOf(c *x509.Certificate) string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return strings.Join(names, ", ")
}

const maxPEM = 1 << 20 // bytes; a bundle of all public authorities has a fifth

// readPEM reads a PEM file, and says of other files what they are and how to make
// one of them. Its errors repeat nothing of a key.
func readPEM(path string) ([]byte, error) {
	f, err := regular.Open(path)
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
