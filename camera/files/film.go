package files

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/child"
	"dynvit/camera/internal/ffmpeg"
)

// filmEndings are the names that are handed to ffmpeg.
var filmEndings = []string{
	".3gp", ".avi", ".flv", ".gif", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg", ".mjpg",
	".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv", ".y4m",
}

func isFilm(path string) bool {
	return slices.Contains(filmEndings, strings.ToLower(filepath.Ext(path)))
}

// film reads a film through an ffmpeg child, which decodes, scales and keeps the
// film's own time.
type film struct {
	*child.Program
	loop  bool
	pause time.Duration // between the pictures of a film that stands still; 0: it is not played at a rate
	shown camera.Frame  // the last picture, where there is a pause
	ended bool
	seq   uint64
}

// stillRate is how often the last picture is shown again while a film stands still.
const stillRate = 1

func openFilm(t *target, o camera.Options) (camera.Source, error) {
	program, err := ffmpeg.Find()
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", t.path, err)
	}
	words := append([]string{program}, filmArguments(t, o.ShortSide)...)
	v := &film{Program: child.NewProgram("film "+t.path, words, o), loop: t.loop}
	if t.rate.Or(1) != 0 {
		v.pause = min(time.Second/stillRate, o.StallLimit()/12)
	}
	return v, nil
}

// filmArguments make ffmpeg play the file at its own rate (-re), or as fast as
// it is read where fps is 0. The file may name no address (a playlist would).
func filmArguments(t *target, shortSide int) []string {
	args := []string{"-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file"}
	if t.rate.Or(1) != 0 {
		args = append(args, "-re")
	}
	args = append(args, "-i", "file:"+t.path, "-an", "-sn", "-dn")
	filters := ffmpeg.Scale(shortSide)
	if fps := t.rate.Or(0); fps != 0 {
		filters = "fps=" + strconv.FormatFloat(fps, 'f', -1, 64) + "," + filters
	}
	return append(args, ffmpeg.Output(filters)...)
}

// Next reads one frame; at the film's end it begins anew if it loops. A film whose
// pictures are far apart stands still, which is no stall: its last picture comes again.
func (v *film) Next(ctx context.Context, f *camera.Frame) error {
	for {
		if err := v.Check(ctx); err != nil {
			return err
		}
		if v.ended {
			return io.EOF
		}
		if again, err := v.standsStill(ctx); err != nil {
			return err
		} else if again {
			copyPixels(f, &v.shown)
			v.stamp(f)
			return nil
		}
		err := v.Read(ctx, func(r *bufio.Reader) error { return ffmpeg.ReadPPM(r, f) })
		switch {
		case err == nil:
			if v.pause > 0 {
				copyPixels(&v.shown, f)
			}
			v.stamp(f)
			return nil
		case err != io.EOF:
			return err
		case v.Frames() == 0:
			return v.Failure("no picture in it")
		}
		v.ended = !v.loop
	}
}

// standsStill reports whether there is a last picture and the next one has not come in
// a pause.
func (v *film) standsStill(ctx context.Context) (bool, error) {
	if v.pause == 0 || v.seq == 0 {
		return false, nil
	}
	ready, err := v.Ready(ctx, v.pause)
	return !ready, err
}

// copyPixels copies what a frame shows, not when and where it was read.
func copyPixels(to, from *camera.Frame) {
	to.Format, to.Width, to.Height = from.Format, from.Width, from.Height
	to.Data = append(to.Data[:0], from.Data...)
}

func (v *film) stamp(f *camera.Frame) {
	v.seq++
	f.Seq, f.Name, f.Captured = v.seq, "", time.Now()
}
