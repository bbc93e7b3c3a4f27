// Package daemon is dynvitd as a library: from a configuration and an opener of
// classifiers to a running daemon that reads cameras, classifies their frames
// and publishes what it sees.
//
// # Frames
//
// Each camera is a feed. A goroutine a feed (reader) opens its source, reads, and
// opens it again when it breaks; its status is what the camera's topic says. It
// leaves frames in the queue: one waiting frame a camera, the newest wins, the
// loser is counted. One goroutine (inference) takes them round robin over the
// feeds, passes over those that hardly differ (motion), classifies by the plan
// that the tuner holds, lets the feed's debounce decide what the sequence of
// classes means, and publishes. Three frames circulate a feed; nothing on this
// path allocates after the first frames, a picture decoder apart.
//
// # Orders
//
// Whoever needs the model or the plan (commands, calibration) has the inference
// do it between two frames, by an order, and waits. Calibration runs in a
// goroutine of its own and orders one frame at a time, each camera's turn between.
//
// # What is told to whom
//
// The announcer publishes all that is not of a frame: birth, settings, stats, a
// camera's status, answers. Counters only grow; each of their readers keeps its
// own period. Any number of [Listener]s hear of every frame without the inference
// waiting for them.
//
// # Life
//
// [Daemon.Run] builds from below (model, tuner, connection, feeds, inference,
// what reports on them), infers one drawn frame, says READY, and ends when its
// context ends, or when all sources given on the command line have ended. A
// camera or broker that is away is reported and waited for, never a failed start.
// Everything that Run starts it also waits for.
package daemon
