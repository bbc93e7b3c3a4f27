package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
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
	pair, err := t.pair()
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

func (t TLS) pair() (tls.Certificate, error) {
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
