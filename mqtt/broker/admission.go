package broker

import (
	"crypto/subtle"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// admission lets in who knows the password, or everybody where there is none,
// and lets everybody inside read and write every topic.
type admission struct {
	mochi.HookBase
	username, password string
}

func (a *admission) ID() string { return "admission" }

func (a *admission) Provides(method byte) bool {
	return method == mochi.OnConnectAuthenticate || method == mochi.OnACLCheck
}

func (a *admission) OnConnectAuthenticate(_ *mochi.Client, pk packets.Packet) bool {
	if a.username == "" {
		return true
	}
	name := subtle.ConstantTimeCompare(pk.Connect.Username, []byte(a.username))
	word := subtle.ConstantTimeCompare(pk.Connect.Password, []byte(a.password))
	return name&word == 1
}

func (a *admission) OnACLCheck(*mochi.Client, string, bool) bool { return true }
