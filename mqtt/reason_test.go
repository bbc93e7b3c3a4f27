package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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
