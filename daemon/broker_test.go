package daemon

import (
	"context"
	"net"
	"strings"
	"testing"

	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/tuning"
)

// TestEmbeddedBroker runs a daemon with its own broker on a real port, and
// another that wants the same one.
func TestEmbeddedBroker(t *testing.T) {
	c := testConfig()
	c.MQTT.Broker = config.Embedded
	first, ready := embedding(t, c, "127.0.0.1:0", true)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- first.Run(ctx) }()
	address := ready().connection.embedded.Addr()
	if host, _, err := net.SplitHostPort(address); err != nil || host != "127.0.0.1" {
		t.Errorf("listens on %s, %v", address, err)
	}

	second, _ := embedding(t, c, address, false)
	err := second.Run(ctx)
	if err == nil || !strings.HasPrefix(err.Error(), "embedded broker: ") || !strings.Contains(err.Error(), "in use") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a second broker on a port that a file names: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the broker still listens")
	}
}

// embedding makes a daemon whose embedded broker listens on address.
func embedding(t *testing.T, c config.Config, address string, noFile bool) (_ *Daemon, ready func() *service) {
	t.Helper()
	deps := Deps{
		Schemes: schemes.List(),
		Open:    func(engine.Options) (tuning.Classifier, error) { return &fake{}, nil },
		Getenv:  noEnv, NoFile: noFile, brokerListen: address,
		openSource: sources{"test:": {newScripted(0, nil)}}.open,
	}
	ready = whenReady(t, &deps)
	d, err := New(c, deps)
	if err != nil {
		t.Fatal(err)
	}
	return d, ready
}
