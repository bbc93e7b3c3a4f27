package trust_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/camera/cameratest"
	"dynvit/camera/trust"
)

// shake is what a client with that trust makes of a server that shows a
// certificate.
func shake(t *testing.T, pair tls.Certificate, tr trust.Trust, host string) error {
	t.Helper()
	config, err := tr.Config(host)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := l.Accept(); err == nil {
			conn.Read(make([]byte, 1)) // shakes hands, and waits until the client hangs up
			conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), config)
	if err == nil {
		conn.Close()
	}
	l.Close()
	<-done
	return err
}

func TestTrust(t *testing.T) {
	own := cameratest.Certificate(t, nil)
	other := cameratest.Certificate(t, nil)
	nameless := cameratest.Certificate(t, func(c *x509.Certificate) { c.IPAddresses = nil })
	old := cameratest.Certificate(t, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Minute) })
	early := cameratest.Certificate(t, func(c *x509.Certificate) { c.NotBefore = c.NotAfter.Add(-time.Minute) })
	sum := func(c tls.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Certificate[0])) }
	file := func(c tls.Certificate) trust.Trust { return trust.Trust{CAFile: cameratest.PEM(t, c)} }
	pin := func(c tls.Certificate) trust.Trust { return trust.Trust{Fingerprint: sum(c)} }
	colons := strings.TrimSuffix(strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x:", sha256.Sum256(own.Certificate[0])), " ", ":")), ":")
	for _, c := range []struct {
		name  string
		shown tls.Certificate
		trust trust.Trust
		want  string // "": taken
	}{
		{"signed by itself", own, trust.Trust{}, "the camera's certificate is signed by an unknown authority (ca_file names another): if it is the camera's, set fingerprint: " + sum(own)},
		{"its own authority", own, file(own), ""},
		{"another's authority", own, file(other), "unknown authority"},
		{"fingerprint", own, pin(own), ""},
		{"fingerprint with colons", own, trust.Trust{Fingerprint: colons}, ""},
		{"another's fingerprint", own, pin(other), "was it renewed? this one's is " + sum(own)},
		{"no name", nameless, file(nameless), "the camera's certificate is for no host, not for 127.0.0.1: if it is the camera's, set fingerprint: " + sum(nameless)},
		{"no name, fingerprint", nameless, pin(nameless), ""},
		{"expired", old, file(old), "the camera's certificate expired at "},
		{"not yet valid", early, file(early), "is this machine's clock right?"},
		{"expired, fingerprint", old, pin(old), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := shake(t, c.shown, c.trust, "127.0.0.1")
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err = trust.Explain(err); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	text, fifo := filepath.Join(dir, "text"), filepath.Join(dir, "fifo")
	if err := errors.Join(os.WriteFile(text, []byte("no certificate"), 0o600), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		trust trust.Trust
		want  string
	}{
		{trust.Trust{}, ""},
		{trust.Trust{Fingerprint: strings.Repeat("0f:", 31) + "0f"}, ""},
		{trust.Trust{Fingerprint: strings.Repeat("0f", 31)}, "want 64 hexadecimal digits"},
		{trust.Trust{Fingerprint: strings.Repeat("0g", 32)}, "want 64 hexadecimal digits"},
		{trust.Trust{CAFile: text}, "holds no certificate"},
		{trust.Trust{CAFile: fifo}, "is not a regular file"},
		{trust.Trust{CAFile: dir}, "is not a regular file"},
		{trust.Trust{CAFile: filepath.Join(dir, "none")}, "no such file"},
		{trust.Trust{CAFile: text, Fingerprint: "00"}, "want one of them"},
	} {
		err := c.trust.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.trust, err, c.want)
		}
	}
	if err := trust.Explain(os.ErrNotExist); err != os.ErrNotExist {
		t.Errorf("another error became %v", err)
	}
}
