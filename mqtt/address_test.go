package mqtt

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	tests := []struct{ broker, want string }{
		{"mqtt://broker.lan", "mqtt://broker.lan:1883"},
		{"tcp://broker.lan:11883", "tcp://broker.lan:11883"},
		{"mqtts://broker.lan", "mqtts://broker.lan:8883"},
		{"ssl://broker.lan/", "ssl://broker.lan:8883/"},
		{"broker.lan", "mqtt://broker.lan:1883"},
		{"127.0.0.1:1884", "mqtt://127.0.0.1:1884"},
		{"mqtt://[::1]", "mqtt://[::1]:1883"},
		{"mqtt://[fe80::1%25eth0]:1", "mqtt://[fe80::1%25eth0]:1"},
		{"ws://broker.lan/mqtt", "ws://broker.lan:80/mqtt"},
		{"WSS://broker.lan/mqtt?x=1", "wss://broker.lan:443/mqtt?x=1"},
	}
	for _, tt := range tests {
		at, err := parseAddress(tt.broker)
		if err != nil || at.String() != tt.want {
			t.Errorf("%q is %v, %v; want %q", tt.broker, at, err, tt.want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	tests := []struct{ broker, want string }{
		{"", "no broker named"},
		{"http://broker.lan", `scheme "http"`},
		{"mqtt://", "no host"},
		{"mqtt://:1883", "no host"},
		{"mqtt://brökér.lan", "neither a name nor an address"},
		{"::", "without brackets"},
		{"mqtt://::1:1883", "without brackets"},
		{"mqtts://fe80::1%eth0/", "without brackets"},
		{"ws://2001:db8::7/mqtt", "without brackets"},
		{"mqtt://[fe80::1%25\xff]", "neither a name nor an address"},
		{"mqtt://broker.lan:0", "port"},
		{"mqtt://broker.lan:65536", "port"},
		{"mqtt://broker.lan:port", "not a valid URL"},
		{"mqtt://broker.lan/topic", "path"},
		{"mqtt://broker.lan?x=1", "query"},
		{"ws://broker.lan/mqtt#x", "fragment"},
		{"mqtt://cam:s3cret@broker.lan", "credentials"},
		{"cam:s3cret@broker.lan", "credentials"},
		{"mqtt://cam:s3cr#et@broker.lan", "not a valid URL"},
		{"mqtt://cam:s3cret %@broker.lan", "not a valid URL"},
	}
	for _, tt := range tests {
		err := Check(tt.broker)
		switch {
		case err == nil || !strings.Contains(err.Error(), tt.want):
			t.Errorf("%q: %v, want ...%s...", tt.broker, err, tt.want)
		case strings.Contains(err.Error(), "s3cr"):
			t.Errorf("%q: the error repeats the password: %v", tt.broker, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"mqtt://h:1", "h", "wss://h/p?q", "mqtt://u:p@h", "[::1]:5", "mqtt://[fe80::1%25eth0]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, broker string) {
		at, err := parseAddress(broker)
		if err != nil {
			return
		}
		if at.url.User != nil || at.url.Hostname() == "" || at.url.Port() == "" {
			t.Fatalf("%q was accepted as %v", broker, at)
		}
		if again, err := parseAddress(at.String()); err != nil || again.String() != at.String() {
			t.Fatalf("%q reads as %v, and that as %v, %v", broker, at, again, err)
		}
	})
}
