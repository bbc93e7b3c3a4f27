package main

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/mqtt/mqtttest"
)

// TestListensOnLoopback: who starts the program without a configuration, with a local server by its port
// alone, opens nothing to the network: the kernel's list of the process's sockets says so.
func TestListensOnLoopback(t *testing.T) {
	_, port, err := net.SplitHostPort(mqtttest.Reserve(t))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, dynvitd(t, "run", "--source", "test:", "--keep", "0.5", "--http", port))
	p.await("msg=ready")
	list := listeners(t, p.Process.Pid)
	if len(list) != 2 { // broker and local server
		t.Errorf("it listens at %v, want two", list)
	}
	for _, at := range list {
		if !at.Addr().IsLoopback() {
			t.Errorf("it listens at %v", at)
		}
	}
}

// listeners are the addresses of a process that take connections, or packets from anybody.
func listeners(t *testing.T, pid int) (list []netip.AddrPort) {
	t.Helper()
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	var sockets []string
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			sockets = append(sockets, strings.Trim(to, "socket:[]"))
		}
	}
	const listens, unconnected = "0A", "07"
	for file, state := range map[string]string{"tcp": listens, "tcp6": listens, "udp": unconnected, "udp6": unconnected} {
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(table)) { // sl local_address rem_address st … inode
			if f := strings.Fields(line); len(f) > 9 && f[3] == state && slices.Contains(sockets, f[9]) {
				list = append(list, kernelAddress(t, f[1]))
			}
		}
	}
	return list
}

// kernelAddress reads an address as /proc/net shows it: words of 32 bits in the machine's order, and a port.
func kernelAddress(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	words, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(words)
	if err != nil {
		t.Fatal(err)
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(b)
	var n uint16
	if _, err := fmt.Sscanf(port, "%X", &n); err != nil || !ok {
		t.Fatalf("%q is no address", text)
	}
	return netip.AddrPortFrom(addr.Unmap(), n)
}
