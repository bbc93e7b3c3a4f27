package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestReason(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp",
		Source: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40123},
		Err:    os.NewSyscallError("read", syscall.ECONNRESET)}
	tests := []struct {
		err  error
		want string
	}{
		{nil, ""},
		{io.EOF, "the broker closed the connection"},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), "the broker closed the connection"},
		{reset, "read: connection reset by peer"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "broker.lan", Server: "10.0.0.1:53"}}, "look up broker.lan: no such host"},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "no answer in time"},
		{errors.New("anything"), "anything"},
	}
	for _, tt := range tests {
		if got := reason(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestNamesOfTheSystem(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "nsswitch.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		file string
		want []string
	}{
		{write("passwd: files sss\nhosts: files mdns4_minimal [NOTFOUND=return] dns myhostname # wins\n"), []string{"mdns4_minimal", "myhostname"}},
		{write("hosts:files dns\n"), nil},
		{"/nowhere", nil},
	} {
		if got := otherSources(tt.file); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.file, got, tt.want)
		}
	}
	local := reason(&net.DNSError{Err: "no such host", Name: "Homeassistant.local", IsNotFound: true})
	if !strings.Contains(local, "mDNS") || !strings.Contains(local, "/etc/hosts") || strings.Contains(local, "mosquitto_pub") {
		t.Errorf("a name in .local: %q", local)
	}
}
