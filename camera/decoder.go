package camera

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// decodeLimit is how long a decoder may take for one keyframe, its start
// included; a Raspberry Pi starts ffmpeg in under a second.
const decodeLimit = 5 * time.Second

// decoder turns the keyframes of a stream into pixels by an ffmpeg child, one at
// a time: what goes in comes out before the next goes in. So each picture is that
// of its keyframe, and none waits in the child.
type decoder struct{ program }

func newDecoder(name, ffmpeg string, k *codec, o Options) *decoder {
	d := &decoder{}
	d.prepare(name, append([]string{ffmpeg}, decoderArguments(k, o.ShortSide)...), o)
	d.fed, d.stall = true, min(d.stall, decodeLimit)
	return d
}

// decoderArguments make ffmpeg look at no more of the stream than it must before
// it begins, and decode on one thread: more of them hold frames back.
func decoderArguments(k *codec, shortSide int) []string {
	return []string{
		"-hide_banner", "-loglevel", "error", "-protocol_whitelist", "pipe",
		"-probesize", "32", "-analyzeduration", "0", "-flags", "low_delay", "-threads", "1",
		"-f", k.ffmpeg, "-i", "pipe:0",
		"-vf", scaleFilter(shortSide), "-pix_fmt", "rgb24", "-vsync", "passthrough", "-c:v", "ppm", "-f", "image2pipe", "pipe:1",
	}
}

// decode sets f's format, size and data from a keyframe.
func (d *decoder) decode(ctx context.Context, keyframe []byte, f *Frame) error {
	err := d.exchange(ctx, keyframe, func(r *bufio.Reader) error { return readPPM(r, f) })
	if err == io.EOF {
		return fmt.Errorf("%s: the decoder ended%s", d.name, d.said)
	}
	return err
}

// undecodable reports that a decoder made nothing of a keyframe, which may be the
// keyframe's fault: another decoder may do with the next.
func undecodable(err error) bool { return errors.Is(err, errNoFrame) }
