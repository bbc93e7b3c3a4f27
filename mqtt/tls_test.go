package mqtt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dynvit/internal/needs"
	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

// issuer is a certificate authority with its files in a folder.
type issuer struct {
	t    *testing.T
	dir  string
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
	n    int64
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, dir: t.TempDir(), key: newKey(t), n: 1}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(i.n), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	i.ca = template
	der := i.sign(template, i.key)
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	i.ca, i.file = parsed, i.write("ca.pem", "CERTIFICATE", der)
	return i
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (i *issuer) sign(template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, i.ca, key.Public(), i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return der
}

func (i *issuer) write(name, kind string, der []byte) string {
	path := filepath.Join(i.dir, name)
	// mosquitto reads its key as another user.
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
		i.t.Fatal(err)
	}
	return path
}

// issue makes a certificate for 127.0.0.1 that edit may change.
func (i *issuer) issue(edit func(*x509.Certificate)) (certFile, keyFile string) {
	i.n++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(i.n), Subject: pkix.Name{CommonName: "somebody"},
		NotBefore: i.ca.NotBefore, NotAfter: i.ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(template)
	}
	key := newKey(i.t)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	name := fmt.Sprint("cert", i.n)
	return i.write(name+".pem", "CERTIFICATE", i.sign(template, key)), i.write(name+".key", "EC PRIVATE KEY", der)
}

// serveTLS serves b with a certificate of issuer's and returns its URL.
func serveTLS(t *testing.T, b *mqtttest.Broker, i *issuer, edit func(*x509.Certificate), config *tls.Config) string {
	t.Helper()
	certFile, keyFile := i.issue(edit)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{pair}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); b.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.Serve(conn)
		}
	})
	return "mqtts://" + l.Addr().String()
}

// firstError starts a client and returns why its first attempt failed.
func firstError(t *testing.T, edit func(*mqtt.Options)) string {
	t.Helper()
	failed := make(chan struct{}, 1)
	c := startClient(t, func(o *mqtt.Options) {
		o.Pulse = onIdle{"broker away", failed}
		edit(o)
	})
	<-failed
	defer abandon(c)
	return c.Status().LastError
}

func TestTLSErrorsSayWhatIsWrong(t *testing.T) { both(t, testTLSErrorsSayWhatIsWrong) }

func testTLSErrorsSayWhatIsWrong(t *testing.T) {
	day := 24 * time.Hour
	own, other := newIssuer(t), newIssuer(t)
	tests := []struct {
		name   string
		cert   func(*x509.Certificate)
		server *tls.Config
		ca     string
		want   string
	}{
		{"unknown authority", nil, &tls.Config{}, other.file, "the broker's certificate is signed by an unknown authority (ca_file names another)"},
		{"expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-day) }, &tls.Config{}, own.file, "the broker's certificate expired at 20"},
		{"not valid yet", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(day) }, &tls.Config{}, own.file, "on: is this machine's clock right?"},
		{"wrong name", func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"broker.lan"} }, &tls.Config{}, own.file,
			"the broker's certificate is for broker.lan, not for 127.0.0.1"},
		{"common name alone", func(c *x509.Certificate) { c.IPAddresses, c.Subject.CommonName = nil, "127.0.0.1" }, &tls.Config{}, own.file,
			`has only a common name ("127.0.0.1"), which says no more whose it is: make it anew with a subjectAltName (openssl's -addext subjectAltName=IP:127.0.0.1)`},
		{"old version", nil, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, own.file, "protocol version"},
		{"client certificate wanted", nil, &tls.Config{ClientAuth: tls.RequireAnyClientCert}, own.file,
			"(cert_file and key_file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := mqtttest.New()
			url := serveTLS(t, b, own, tt.cert, tt.server)
			got := firstError(t, func(o *mqtt.Options) { o.Broker, o.TLS.CA = url, tt.ca })
			if !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("error %q, want %q", got, tt.want)
			}
			if s := b.State(); s.Connects != 0 {
				t.Errorf("%d CONNECT packets, with a password perhaps, were sent to a broker that proved nothing", s.Connects)
			}
		})
	}
	t.Run("plain broker", func(t *testing.T) {
		b := listen(t)
		got := firstError(t, func(o *mqtt.Options) { o.Broker = "mqtts" + strings.TrimPrefix(b.URL(), "mqtt") })
		if !strings.Contains(got, "no TLS on this port of the broker?") {
			t.Errorf("error %q", got)
		}
	})
	t.Run("TLS broker spoken to without", func(t *testing.T) {
		url := serveTLS(t, mqtttest.New(), own, nil, &tls.Config{})
		got := firstError(t, func(o *mqtt.Options) { o.Broker = "mqtt" + strings.TrimPrefix(url, "mqtts") })
		if !strings.Contains(got, "mqtts://") {
			t.Errorf("error %q, want a hint", got)
		}
	})
}

func TestTLSFiles(t *testing.T) {
	i := newIssuer(t)
	cert, key := i.issue(nil)
	_, otherKey := i.issue(nil)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(otherKey)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		tls  mqtt.TLS
		want string // "" for none
	}{
		{mqtt.TLS{}, ""},
		{mqtt.TLS{CA: i.file, Certificate: cert, Key: key}, ""},
		{mqtt.TLS{CA: empty}, "is no PEM file"},
		{mqtt.TLS{CA: key}, "holds no certificate"},
		{mqtt.TLS{CA: bom(t, i.file), Certificate: bom(t, cert), Key: bom(t, key)}, ""},
		{mqtt.TLS{CA: pipe}, pipe + ": not a regular file"}, // without waiting for a writer
		{mqtt.TLS{CA: "/nowhere"}, "/nowhere: no such file"},
		{mqtt.TLS{Certificate: cert, Key: "/nowhere"}, "/nowhere: no such file"},
		{mqtt.TLS{Certificate: cert, Key: otherKey}, "private key does not match"},
		{mqtt.TLS{Certificate: otherKey, Key: otherKey}, "cert"},
	}
	for _, tt := range tests {
		err := tt.tls.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.tls, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), string(secret[50:80]))) {
			t.Errorf("%+v: the error has several lines or repeats the key: %v", tt.tls, err)
		}
	}
}

// bom copies a file and puts a byte-order mark before it.
func bom(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "bom.pem")
	if err := os.WriteFile(path, append([]byte("\xef\xbb\xbf"), data...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFilesThatAreNotPEM has openssl write what users have in place of PEM files;
// what is said names the file, what it is, and a command that makes it right.
func TestFilesThatAreNotPEM(t *testing.T) {
	openssl := needs.Program(t, "openssl", "openssl")
	i := newIssuer(t)
	cert, key := i.issue(nil)
	dir := t.TempDir()
	write := func(name string, arguments ...string) string {
		path := filepath.Join(dir, name)
		if out, err := exec.Command(openssl, append(arguments, "-out", path)...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v: %s", arguments, err, out)
		}
		return path
	}
	certDER := write("cert.der", "x509", "-in", cert, "-outform", "der")
	keyDER := write("key.der", "pkey", "-in", key, "-outform", "der")
	p12 := write("both.p12", "pkcs12", "-export", "-in", cert, "-inkey", key, "-passout", "pass:x")
	encrypted := write("new.key", "pkcs8", "-topk8", "-in", key, "-passout", "pass:x")
	legacy := write("old.key", "ec", "-in", key, "-aes256", "-passout", "pass:x")
	for _, tt := range []struct {
		tls        mqtt.TLS
		file, want string
	}{
		{mqtt.TLS{CA: certDER}, certDER, "is DER, want PEM: openssl x509"},
		{mqtt.TLS{CA: p12}, p12, "is PKCS #12, want PEM: openssl pkcs12"},
		{mqtt.TLS{Certificate: certDER, Key: key}, certDER, "is DER, want PEM"},
		{mqtt.TLS{Certificate: cert, Key: keyDER}, keyDER, "or for a key openssl pkey"},
		{mqtt.TLS{Certificate: cert, Key: encrypted}, encrypted, "is encrypted"},
		{mqtt.TLS{Certificate: cert, Key: legacy}, legacy, "is encrypted"},
	} {
		if err := tt.tls.Check(); err == nil || !strings.Contains(err.Error(), tt.file+" is") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s %s", tt.tls, err, tt.file, tt.want)
		}
	}
}

// secureMosquitto runs Debian's broker with TLS, client certificates and a
// password, and returns its address.
func secureMosquitto(t *testing.T, i *issuer, password string) string {
	t.Helper()
	cert, key := i.issue(nil)
	words := filepath.Join(i.dir, "words")
	passwd := needs.Program(t, "mosquitto_passwd", "mosquitto")
	if out, err := exec.Command(passwd, "-b", "-c", words, "cam", password).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v: %s", err, out)
	}
	address := mqtttest.Reserve(t)
	mqtttest.RunMosquitto(t, mqtttest.Listener(address)+fmt.Sprintf("cafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate true\npassword_file %s\n",
		i.file, cert, key, words))
	return address
}

// TestMosquittoWithTLSAndPassword is what a careful user sets up, and each thing
// that may be wrong with it.
func TestMosquittoWithTLSAndPassword(t *testing.T) { both(t, testMosquittoWithTLSAndPassword) }

func testMosquittoWithTLSAndPassword(t *testing.T) {
	const password = "correct-horse"
	i := newIssuer(t)
	address := secureMosquitto(t, i, password)
	cert, key := i.issue(nil)
	foreign, foreignKey := newIssuer(t).issue(nil)
	good := func(o *mqtt.Options) {
		o.Broker = "mqtts://" + address
		o.TLS = mqtt.TLS{CA: i.file, Certificate: cert, Key: key}
		o.Username, o.Password = "cam", password
	}
	for _, tt := range []struct {
		name string
		edit func(*mqtt.Options)
		want string
	}{
		{"no CA", func(o *mqtt.Options) { o.TLS.CA = "" }, "unknown authority"},
		{"no certificate", func(o *mqtt.Options) { o.TLS.Certificate, o.TLS.Key = "", "" }, "cert_file and key_file"},
		{"a stranger's certificate", func(o *mqtt.Options) { o.TLS.Certificate, o.TLS.Key = foreign, foreignKey }, "cert_file and key_file"},
		{"wrong password", func(o *mqtt.Options) { o.Password = "battery-staple" }, "the broker refused the connection: not authorized"},
		{"no TLS", func(o *mqtt.Options) { o.Broker, o.TLS = "mqtt://"+address, mqtt.TLS{} }, "mqtts://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log mqtttest.Log
			got := firstError(t, func(o *mqtt.Options) {
				good(o)
				o.Log = log.Logger(slog.LevelDebug)
				tt.edit(o)
			})
			if !strings.Contains(strings.ToLower(got), strings.ToLower(tt.want)) { // 3.1.1's words have capitals
				t.Errorf("error %q, want %q", got, tt.want)
			}
			for _, secret := range []string{password, "battery-staple"} {
				if strings.Contains(log.String()+got, secret) {
					t.Errorf("the password is in the log or the error:\n%s%s", log.String(), got)
				}
			}
		})
	}
	c := startClient(t, good)
	publish(t, c, event("e1"))
	next := mosquittoSub(t, address, "--cafile", i.file, "--cert", cert, "--key", key, "-u", "cam", "-P", password)
	publish(t, c, event("e2"))
	wantLines(t, func() string {
		line := next()
		for !strings.Contains(line, "e2") {
			line = next()
		}
		return line
	}, "camera/door/event e2 0")
	mustClose(t, c)
}
