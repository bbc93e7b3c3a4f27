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
	ended bool
	seq   uint64
}

func openFilm(t *target, o camera.Options) (camera.Source, error) {
	program, err := ffmpeg.Find()
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", t.path, err)
	}
	words := append([]string{program}, filmArguments(t, o.ShortSide)...)
	return &film{Program: child.NewProgram("film "+t.path, words, o), loop: t.loop}, nil
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

// Next reads one frame; at the film's end it begins anew if it loops.
func (v *film) Next(ctx context.Context, f *camera.Frame) error {
	for {
		if err := v.Check(ctx); err != nil {
			return err
		}
		if v.ended {
			return io.EOF
		}
		err := v.Read(ctx, func(r *bufio.Reader) error { return ffmpeg.ReadPPM(r, f) })
		switch {
		case err == nil:
			v.seq++
			f.Seq, f.Name, f.Captured = v.seq, "", time.Now()
			return nil
		case err != io.EOF:
			return err
		case v.Frames() == 0:
			return v.Failure("no picture in it")
		}
		v.ended = !v.loop
	}
}
