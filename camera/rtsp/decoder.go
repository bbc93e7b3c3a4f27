package rtsp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/child"
	"dynvit/camera/internal/ffmpeg"
)

// decodeLimit is how long a decoder may take for one keyframe, its start
// included, at most; a Raspberry Pi starts ffmpeg in under a second.
const decodeLimit = 5 * time.Second

// decoder turns the keyframes of a stream into pixels by an ffmpeg child, one at
// a time: what goes in comes out before the next goes in. So each picture is that
// of its keyframe, and none waits in the child.
type decoder struct{ *child.Program }

// newDecoder makes one that may take so long for a keyframe.
func newDecoder(program, raw string, o camera.Options, limit time.Duration) *decoder {
	o.Stall = limit
	return &decoder{child.NewFed("decoder", append([]string{program}, decoderArguments(raw, o.ShortSide)...), o)}
}

// decoderArguments make ffmpeg look at no more of the stream than it must before
// it begins, and decode on one thread: more of them hold frames back.
func decoderArguments(raw string, shortSide int) []string {
	args := []string{
		"-hide_banner", "-loglevel", "error", "-protocol_whitelist", "pipe",
		"-probesize", "32", "-analyzeduration", "0", "-flags", "low_delay", "-threads", "1",
		"-f", raw, "-i", "pipe:0",
	}
	return append(args, ffmpeg.Output(ffmpeg.Scale(shortSide))...)
}

// decode sets f's format, size and data from a keyframe.
func (d *decoder) decode(ctx context.Context, keyframe []byte, f *camera.Frame) error {
	err := d.Exchange(ctx, keyframe, func(r *bufio.Reader) error { return ffmpeg.ReadPPM(r, f) })
	if err == io.EOF {
		return d.Failure("the decoder ended")
	}
	return err
}

// undecodable reports that a decoder made nothing of a keyframe, which may be the
// keyframe's fault: another decoder may do with the next.
func undecodable(err error) bool { return errors.Is(err, child.ErrNoFrame) }
