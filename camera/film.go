package camera

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
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
// film's own time, and hands over a PPM for each frame: raw pixels behind a
// header of a few bytes with their size. So the size need not be known before,
// is right for films that are turned or have oblong pixels, and may change.
type film struct {
	program
	loop  bool
	ended bool
	seq   uint64
}

func openFilm(s Spec, o Options) (Source, error) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return nil, fmt.Errorf("source %s: ffmpeg not found: install the ffmpeg package", s.target)
	}
	v := &film{loop: s.options.loop}
	v.prepare("film "+s.target, append([]string{ffmpeg}, filmArguments(s, o.ShortSide)...), o)
	return v, nil
}

// filmArguments make ffmpeg play the file at its own rate (-re), or as fast as
// it is read where fps is 0. The file may name no address (a playlist would).
// -vsync is -fps_mode's old name, the one that ffmpeg 4.4 (JetPack 6) knows.
func filmArguments(s Spec, shortSide int) []string {
	args := []string{"-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file"}
	if s.options.rate(1) != 0 {
		args = append(args, "-re")
	}
	args = append(args, "-i", "file:"+s.target, "-an", "-sn", "-dn")
	filters := scaleFilter(shortSide)
	if fps := s.options.rate(0); fps != 0 {
		filters = "fps=" + strconv.FormatFloat(fps, 'f', -1, 64) + "," + filters
	}
	return append(args, "-vf", filters, "-pix_fmt", "rgb24", "-vsync", "passthrough",
		"-c:v", "ppm", "-f", "image2pipe", "pipe:1")
}

// scaleFilter makes pixels square and brings the short side down to so many
// pixels, never up; 0 leaves the size alone.
func scaleFilter(shortSide int) string {
	if shortSide <= 0 {
		return `scale=w=max(1\,round(iw*sar)):h=ih`
	}
	k := fmt.Sprintf(`min(1\,%d/min(iw*sar\,ih))`, shortSide)
	return fmt.Sprintf(`scale=w=max(1\,round(iw*sar*%s)):h=max(1\,round(ih*%s))`, k, k)
}

// Next reads one frame; at the film's end it begins anew if it loops.
func (v *film) Next(ctx context.Context, f *Frame) error {
	for {
		if err := v.check(ctx); err != nil {
			return err
		}
		if v.ended {
			return io.EOF
		}
		err := v.read(ctx, func(r *bufio.Reader) error { return readPPM(r, f) })
		switch {
		case err == nil:
			v.seq++
			f.Seq, f.Name, f.Captured = v.seq, "", time.Now()
			return nil
		case err != io.EOF:
			return err
		case v.frames == 0:
			return fmt.Errorf("%s: no picture in it%s", v.name, v.said)
		}
		v.ended = !v.loop
	}
}
