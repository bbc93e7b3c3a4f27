package mqtttest

import (
	"net"
	"os/exec"
	"testing"
)

// TestPortIsKept closes and opens a listener while processes are started, which
// hold copies of its socket for a moment.
func TestPortIsKept(t *testing.T) {
	b, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				exec.Command("/bin/true").Run()
			}
		}
	}()
	for range 300 {
		b.Down()
		if conn, err := net.Dial("tcp", b.addr); err == nil {
			conn.Close()
			t.Error("a broker that is down takes connections")
		}
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-stopped
}

func TestReservedPortIsHandedOutToNobody(t *testing.T) {
	address := Reserve(t)
	for range 2000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Addr().String() == address {
			t.Fatalf("%s was given to somebody else", address)
		}
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("something listens")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal("its owner cannot have it: ", err)
	}
	l.Close()
}
