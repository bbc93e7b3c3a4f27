// Package trust says which certificate a network camera may show over TLS: one
// that the system's authorities or others have signed, or exactly one, known by
// its fingerprint. Cameras sign their certificates themselves, for no name or a
// wrong one and with a clock that is off: of those the fingerprint alone tells
// one from another, and a refusal shows it.
package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"dynvit/regular"
)

// Trust is in whom; the zero Trust is in the system's authorities. Of the two at
// most one may be set.
type Trust struct {
	CAFile      string // PEM file of the authorities that may have signed the certificate
	Fingerprint string // SHA-256 of the certificate in hexadecimal, with or without colons
}

// Check reports what is wrong, the file's contents included.
func (t Trust) Check() error {
	_, err := t.Config("")
	return err
}

// Config is for a connection to host; "" where whoever dials fills that in. The
// file is read each time, so that it can be replaced without a restart. Its
// refusals are for Explain.
func (t Trust) Config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	switch {
	case t.CAFile != "" && t.Fingerprint != "":
		return nil, errors.New("both an authority and a fingerprint: want one of them")
	case t.CAFile != "":
		pool, err := readAuthorities(t.CAFile)
		c.RootCAs = pool
		return c, err
	case t.Fingerprint != "":
		want, err := ParseFingerprint(t.Fingerprint)
		if err != nil {
			return nil, err
		}
		c.InsecureSkipVerify = true // the fingerprint says more than an authority could
		c.VerifyConnection = func(s tls.ConnectionState) error { return compare(s.PeerCertificates, want) }
	}
	return c, nil
}

// ParseFingerprint reads the 64 hexadecimal digits, with or without colons.
func ParseFingerprint(text string) (sum [sha256.Size]byte, err error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(raw) != len(sum) {
		return sum, errors.New("not a SHA-256 fingerprint: want 64 hexadecimal digits")
	}
	return [sha256.Size]byte(raw), nil
}

// anotherError is a certificate that is not the one of the fingerprint.
type anotherError struct{ sum [sha256.Size]byte }

func (e anotherError) Error() string {
	return fmt.Sprintf("the camera shows another certificate than the one of its fingerprint: was it renewed? this one's is %x", e.sum)
}

func compare(shown []*x509.Certificate, want [sha256.Size]byte) error {
	if len(shown) == 0 {
		return errors.New("the camera shows no certificate")
	}
	if sum := sha256.Sum256(shown[0].Raw); sum != want {
		return anotherError{sum}
	}
	return nil
}

const maxPEM = 1 << 20 // bytes; a bundle of all public authorities has a fifth

func readAuthorities(path string) (*x509.CertPool, error) {
	pem, err := regular.Read(path, maxPEM)
	if errors.Is(err, regular.ErrIrregular) || errors.Is(err, syscall.EISDIR) {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM's form", path)
	}
	return pool, nil
}

// Explain puts a refusal of a camera's certificate into words, which end with the
// line of the configuration that would take it. Other errors stay as they are.
func Explain(err error) error {
	var another anotherError
	var refused *tls.CertificateVerificationError
	switch {
	case errors.As(err, &another):
		return another
	case !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0:
		return err
	}
	shown := refused.UnverifiedCertificates[0]
	return fmt.Errorf("%s: if it is the camera's, set fingerprint: %x", reason(refused.Err, shown), sha256.Sum256(shown.Raw))
}

func reason(err error, shown *x509.Certificate) string {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "the camera's certificate is signed by an unknown authority (ca_file names another)"
	case errors.As(err, &host):
		return fmt.Sprintf("the camera's certificate is for %s, not for %s", namesOf(shown), host.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(shown.NotBefore):
		return fmt.Sprintf("the camera's certificate is valid from %s on (is this machine's clock right?)", shown.NotBefore.UTC().Format(time.RFC3339))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the camera's certificate expired at " + shown.NotAfter.UTC().Format(time.RFC3339)
	}
	return "the camera's certificate is refused (" + err.Error() + ")"
}

func namesOf(c *x509.Certificate) string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no host"
	}
	return fmt.Sprintf("%.100q", strings.Join(names, ", "))
}
