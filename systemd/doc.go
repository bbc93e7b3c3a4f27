// Package systemd connects a daemon to the service manager that started it: it
// says when the daemon is ready, shows a status line, and feeds the watchdog
// for as long as the daemon's loops are alive.
//
// A [Notifier] speaks the sd_notify protocol over $NOTIFY_SOCKET and does
// nothing where there is none. A [Health] is told by each long-running loop
// what it is about: busy with work of its own, or idle for a reason that it
// can name, such as a camera that delivers nothing or a broker that is away. A
// [Supervisor] puts the two together: it feeds the watchdog while no loop has
// been busy with one thing for longer than that loop's limit. So an unplugged
// camera or an absent broker never gets the daemon killed, and an inference
// that hangs does.
//
// The folder also holds the unit, dynvitd.service, and what goes with it: its user
// (dynvitd.sysusers), its folders (dynvitd.tmpfiles), and what makes device units of
// cameras (dynvitd.rules).
package systemd
