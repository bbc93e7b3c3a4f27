// Package daemon is dynvitd as a library: from a configuration and an opener of
// classifiers to a running daemon that reads cameras, classifies their frames
// and publishes what it sees.
//
// # Configuration
//
// [Load] reads a strict YAML file, the environment and flags into a [Config];
// one table of keys, drawn from the struct's tags, serves all three, the
// printed configuration and its JSON schema. Whatever is wrong is a
// [ConfigError] that names the place: file:line:column, variable or flag.
//
// # Frames
//
// Each camera has a goroutine (reader) that opens the source, reads, and opens it
// again when it breaks; its status is what the camera's topic says. It leaves
// frames in the queue: one waiting frame a camera, the newest wins, the loser is
// counted. One goroutine (inference) takes them round robin over the cameras,
// classifies, lets the camera's judge decide what the sequence of classes means,
// and publishes what the encoder makes of it. Three frames circulate per camera;
// nothing on this path allocates after the first frames, a picture decoder apart.
//
// # Life
//
// [Daemon.Run] opens the classifier, infers one drawn frame, starts the MQTT
// client and the cameras, says READY, and ends when its context ends, or when all
// sources given on the command line have ended. A camera or broker that is away
// is reported and waited for, never a failed start. Everything that Run starts it
// also waits for.
package daemon
