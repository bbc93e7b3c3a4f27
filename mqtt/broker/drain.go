package broker

import (
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// mochi drops what still waits for its subscribers when it closes: without a
// pause, "stopped" would reach nobody. The pause is counted in looks, which take
// drainPause each and longer where the machine is busy: time alone would pass
// without mochi's goroutines having run.
const (
	drainPause = 2 * time.Millisecond
	drainLooks = 100 // at most
	drainQuiet = 10  // in a row that see no packet sent: nothing is on its way at QoS 0
)

func (b *Broker) drain() {
	sent := b.sent.packets.Load()
	for look, quiet := 0, 0; look < drainLooks && (quiet < drainQuiet || !b.acknowledged()); look++ {
		time.Sleep(drainPause)
		before := sent
		if sent = b.sent.packets.Load(); sent == before {
			quiet++
		} else {
			quiet = 0
		}
	}
}

// acknowledged reports whether no connected subscriber owes an answer.
func (b *Broker) acknowledged() bool {
	for _, c := range b.server.Clients.GetAll() {
		if !c.Net.Inline && !c.Closed() && c.State.Inflight.Len() > 0 {
			return false
		}
	}
	return true
}

// traffic counts the packets that were sent.
type traffic struct {
	mochi.HookBase
	packets atomic.Int64
}

func (t *traffic) ID() string                { return "traffic" }
func (t *traffic) Provides(method byte) bool { return method == mochi.OnPacketSent }

func (t *traffic) OnPacketSent(*mochi.Client, packets.Packet, []byte) { t.packets.Add(1) }
