package mqtt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

func listen(t *testing.T) *mqtttest.Broker {
	t.Helper()
	b, err := mqtttest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// TestManyPublishersOverBrokenConnections runs over TCP, for the race detector.
func TestManyPublishersOverBrokenConnections(t *testing.T) {
	before := runtime.NumGoroutine()
	b := listen(t)
	c := startClient(t, func(o *mqtt.Options) { o.Broker, o.QueueMessages = b.URL(), 5000 })
	const publishers, each = 4, 200
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				c.Publish(state(fmt.Sprint("camera/", p, "/state"), fmt.Sprint(i)))
				c.Publish(mqtt.Message{Topic: fmt.Sprint("event/", p), Payload: fmt.Appendf(nil, "%03d", i), QoS: 1})
				c.Publish(mqtt.Message{Topic: "frame"})
				c.Status()
				if i%50 == 25 {
					b.Cut()
				}
			}
		})
	}
	wg.Wait()
	s := await(t, b, func(s mqtttest.State) bool {
		for p := range publishers {
			if !slices.Contains(s.Topic(fmt.Sprint("event/", p)), fmt.Sprintf("%03d", each-1)) ||
				s.Retained[fmt.Sprint(node, "/camera/", p, "/state")] != fmt.Sprint(each-1) {
				return false
			}
		}
		return true
	})
	for p := range publishers {
		seen := make(map[string]bool)
		for _, payload := range s.Topic(fmt.Sprint("event/", p)) {
			seen[payload] = true
		}
		if len(seen) != each {
			t.Errorf("publisher %d: %d of %d events arrived", p, len(seen), each)
		}
	}
	mustClose(t, c)
	b.Close()
	goroutinesBack(t, before)
}

// goroutinesBack fails the test if the number of goroutines does not come down
// to n. The last of them have been told to end and need only be scheduled.
func goroutinesBack(t *testing.T, n int) {
	t.Helper()
	for range 2000 {
		if runtime.NumGoroutine() <= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines, began with %d:\n%s", runtime.NumGoroutine(), n, stacks[:runtime.Stack(stacks, true)])
}

func TestReconnectsAfterBrokerRestartOnTheSamePort(t *testing.T) {
	b := listen(t)
	c := startClient(t, func(o *mqtt.Options) { o.Broker = b.URL() })
	await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] == "online" })
	b.Down()
	publish(t, c, event("while away"))
	if err := b.Up(); err != nil {
		t.Fatal(err)
	}
	await(t, b, func(s mqtttest.State) bool {
		return s.Retained[node+"/status"] == "online" && slices.Contains(s.Topic(node+"/camera/door/event"), "while away")
	})
	mustClose(t, c)
}

// authority makes a certificate for 127.0.0.1 that signs itself.
func authority(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// listenTLS serves a broker over TLS and returns its URL and CA file.
func listenTLS(t *testing.T, b *mqtttest.Broker) (url, caFile string) {
	t.Helper()
	cert, file := authority(t)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, file, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.Serve(conn)
		}
	})
	return "mqtts://" + l.Addr().String(), caFile
}

func TestTLSChecksTheCertificate(t *testing.T) {
	b := mqtttest.New()
	url, _ := listenTLS(t, b)
	t.Cleanup(b.Close)
	var log logBuffer
	failed := make(chan struct{}, 1)
	c := startClient(t, func(o *mqtt.Options) {
		o.Broker, o.Log, o.Pulse = url, log.logger(0), onIdle{"broker away", failed}
	})
	<-failed
	if st := c.Status(); st.Connected || !strings.Contains(st.LastError, "certificate signed by unknown authority") {
		t.Errorf("status %+v, want an unknown authority", st)
	}
	abandon(c)
	if s := b.State(); s.Connects != 0 {
		t.Errorf("%d CONNECT packets were sent to a broker that proved nothing", s.Connects)
	}
}

// onIdle tells when a client idles for a reason.
type onIdle struct {
	why  string
	came chan struct{}
}

func (o onIdle) Busy(string) {}

func (o onIdle) Idle(why string) {
	if why == o.why {
		select {
		case o.came <- struct{}{}:
		default:
		}
	}
}

// TestTLSWithSystemRoots has a child process publish: the system's roots are
// read once in a process, from the file that SSL_CERT_FILE names.
func TestTLSWithSystemRoots(t *testing.T) {
	b := mqtttest.New()
	url, ca := listenTLS(t, b)
	t.Cleanup(b.Close)
	startChild(t, url, "SSL_CERT_FILE="+ca)
	await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] == "online" })
}
