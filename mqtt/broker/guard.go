package broker

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// guard keeps clients other than the owner from topics that are the owner's, and
// from more than the broker's bounds. What it refuses is acknowledged and goes
// nowhere, as with other brokers of MQTT 3.1.1; clients of MQTT 5 get the reason.
type guard struct {
	mochi.HookBase
	server   *mochi.Server
	owned    func(topic string) bool
	retained retained
	log      *slog.Logger

	mu   sync.Mutex
	told map[string]time.Time // by what is refused: when that was last logged
}

func newGuard(server *mochi.Server, o *Options) *guard {
	g := &guard{server: server, owned: o.Owned, log: o.Log, told: make(map[string]time.Time)}
	g.retained.sizes = make(map[string]int)
	return g
}

func (g *guard) ID() string { return "guard" }

func (g *guard) Provides(method byte) bool {
	switch method {
	case mochi.OnConnect, mochi.OnPublish, mochi.OnWill, mochi.OnRetainedExpired:
		return true
	}
	return false
}

func isOwner(cl *mochi.Client) bool { return cl.Net.Listener == owner || cl.Net.Inline }

// OnConnect bounds the sessions, those of clients that are away included, and keeps
// the owner's from being taken over.
func (g *guard) OnConnect(cl *mochi.Client, _ packets.Packet) error {
	if isOwner(cl) {
		return nil
	}
	existing, known := g.server.Clients.Get(cl.ID)
	switch {
	case known && isOwner(existing):
		return g.turnAway(cl, packets.ErrClientIdentifierNotValid, "client id", "is the daemon's own")
	case !known && g.server.Clients.Len() >= maxSessions:
		return g.turnAway(cl, packets.ErrServerUnavailable, "client", fmt.Sprintf("there are %d sessions", maxSessions))
	case cl.Properties.Will.Flag == 1 && g.owned(cl.Properties.Will.TopicName):
		return g.turnAway(cl, packets.ErrNotAuthorized, "will", "its topic is the daemon's own")
	}
	return nil
}

func (g *guard) turnAway(cl *mochi.Client, code packets.Code, what, why string) error {
	g.tell(what, why, "client", cl.ID)
	g.server.SendConnack(cl, code, false, nil) // its error would say that the client is gone
	return code
}

// OnPublish judges the topic once mochi has put it in the place of its alias.
func (g *guard) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if isOwner(cl) {
		if pk.FixedHeader.Retain {
			g.retained.drop(pk.TopicName)
		}
		return pk, nil
	}
	switch {
	case g.owned(pk.TopicName):
		g.tell("message", "its topic is the daemon's own", "topic", pk.TopicName)
		return pk, refusal(cl, pk, packets.ErrNotAuthorized)
	case pk.FixedHeader.Retain && !g.retained.keep(pk.TopicName, len(pk.Payload)):
		g.tell("retained message", fmt.Sprintf("others than the daemon may have %d, %d MiB together", maxRetained, maxRetainedBytes>>20), "topic", pk.TopicName)
		return pk, refusal(cl, pk, packets.ErrQuotaExceeded)
	}
	return pk, nil
}

// refusal is what makes mochi drop pk.
func refusal(cl *mochi.Client, pk packets.Packet, code packets.Code) error {
	if cl.Properties.ProtocolVersion == 5 && pk.FixedHeader.Qos > 0 {
		return code
	}
	return packets.CodeSuccessIgnore
}

// OnWill has a will that finds no room delivered only.
func (g *guard) OnWill(cl *mochi.Client, will mochi.Will) (mochi.Will, error) {
	if will.Retain && !isOwner(cl) {
		will.Retain = g.retained.keep(will.TopicName, len(will.Payload))
	}
	return will, nil
}

// OnRetainedExpired is told of messages that had a time to live.
func (g *guard) OnRetainedExpired(topic string) { g.retained.drop(topic) }

// tellPause is how long what is refused again is not logged.
const tellPause = time.Minute

func (g *guard) tell(what, why string, attributes ...any) {
	g.mu.Lock()
	now := time.Now()
	fresh := now.Sub(g.told[what]) >= tellPause
	if fresh {
		g.told[what] = now
	}
	g.mu.Unlock()
	if fresh {
		g.log.Warn("embedded broker: "+what+" refused: "+why, attributes...)
	}
}
