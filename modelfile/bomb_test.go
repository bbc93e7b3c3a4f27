package modelfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"dynvit/internal/needs"
)

// repeated is head, and then body as often as it fits into a pickle or into the steps
// that a file has, each taking some.
func repeated(head, body string, steps int) []byte {
	n := min(maxSteps/steps+1, (maxPickle-len(head)-1)/len(body))
	return append(append([]byte(head), bytes.Repeat([]byte(body), n)...), '.')
}

// textOf pushes a text of n bytes.
func textOf(n int) string {
	var p pickler
	return p.str(strings.Repeat("k", n)).String()
}

// entries fills a dict or list on the stack with n entries made by one.
func entriesOf(n int, close string, one func(p *pickler, key string)) string {
	var p pickler
	p.op("(")
	for i := range n {
		one(&p, strconv.FormatInt(int64(i), 36))
	}
	return p.op(close).String()
}

// bombs are pickles that make the most of each kind of opcode: of what it costs in
// memory or time by what it costs in bytes of the file.
func bombs() map[string][]byte {
	const (
		ordered = "ccollections\nOrderedDict\nq\x00"
		rebuild = "ctorch._utils\n_rebuild_tensor_v2\nq\x00"
	)
	dict := func(n int) string {
		return "}" + entriesOf(n, "u", func(p *pickler, key string) { p.str(key).op("N") })
	}
	pairs := func(n int) string {
		return "]" + entriesOf(n, "e", func(p *pickler, key string) { p.str(key).op("N\x86") })
	}
	var tensor pickler
	tensor.op("((").str("storage").global("torch", "FloatStorage").str("0").str("cpu").num(1).op("tQ").num(0)
	tensor.ints(make([]int, maxDims)...).ints(make([]int, maxDims)...).op("t")
	return map[string][]byte{
		"copies of a dict":             repeated(ordered+dict(20000)+"\x85q\x01", "h\x00h\x01R", 3),
		"copies of a dict, dropped":    repeated(ordered+dict(20000)+"\x85q\x01", "h\x00h\x01R0", 4),
		"copies of a small dict":       repeated(ordered+dict(1)+"\x85q\x01", "h\x00h\x01R", 4),
		"copies of a dict of 8":        repeated(ordered+dict(8)+"\x85q\x01", "h\x00h\x01R", 11),
		"copies of a dict of 9":        repeated(ordered+dict(9)+"\x85q\x01", "h\x00h\x01R", 12),
		"copies of pairs":              repeated(ordered+pairs(20000)+"\x85q\x01", "h\x00h\x01R", 3),
		"copies by an object":          repeated(ordered+dict(20000)+"q\x01", "(h\x00h\x01o", 4),
		"copies by a new object":       repeated(ordered+dict(20000)+"\x85q\x01", "h\x00h\x01\x81", 3),
		"copies with keywords":         repeated(ordered+dict(20000)+"\x85q\x01", "h\x00h\x01}\x92", 4),
		"dicts by mark":                repeated(textOf(1)+"q\x00", "(h\x00Nd", 4),
		"dicts item by item":           repeated(textOf(1)+"q\x00", "}h\x00Ns", 4),
		"a dict of many":               append([]byte("}("), repeated("", "X\x01\x00\x00\x00kN", 2)...),
		"empty dicts":                  repeated("", "}", 1),
		"empty lists":                  repeated("", "]", 1),
		"lists by mark":                repeated("", "(Nl", 3),
		"a growing list":               repeated("]", "Na", 2),
		"names":                        repeated(textOf(255)+"q\x00", "h\x00h\x00\x93", 3),
		"long names":                   repeated(textOf(30<<20)+"q\x00", "h\x00h\x00\x93", 3),
		"a long line":                  append([]byte("c"), bytes.Repeat([]byte("a"), maxPickle-1)...),
		"two long lines":               append(append([]byte("c"), bytes.Repeat([]byte("a"), maxPickle/2)...), "\na\n."...),
		"a long key":                   repeated(textOf(maxPickle/2)+"q\x00}", "h\x00Ns", 3),
		"a long key by mark":           repeated(textOf(maxPickle/2)+"q\x00", "(h\x00Nd", 4),
		"a long key copied":            repeated(ordered+"}"+textOf(maxPickle/2)+"Ns\x85q\x01", "h\x00h\x01R", 3),
		"a memo":                       repeated("N", "\x94", 1),
		"a memo by number":             repeated("N", "q\x00", 1),
		"doubles":                      repeated("N", "2", 1),
		"tensors":                      repeated(rebuild+tensor.String()+"q\x01", "h\x00h\x01R", 3),
		"nested tuples":                repeated(")", "\x85", 1),
		"pairs":                        repeated("N", "2\x86", 2),
		"tuples by mark":               repeated("", "(t", 2),
		"short texts":                  repeated("", "U\x3b"+strings.Repeat("a", 0x3b), 1),
		"texts":                        repeated("", "X\x00\x10\x00\x00"+strings.Repeat("a", 0x1000), 1),
		"a text":                       []byte(textOf(maxPickle-6) + "."),
		"numbers in digits":            repeated("", "I"+strings.Repeat("9", maxInt)+"\n", 1),
		"numbers in bytes":             repeated("", "\x8a\xff"+strings.Repeat("\x7f", 255), 1),
		"small numbers":                repeated("", "J\xff\xff\xff\x7f", 1),
		"floats":                       repeated("", "G"+strings.Repeat("\x3f", 8), 1),
		"marks":                        repeated("", "(", 1),
		"persistent ids":               repeated("("+"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000NNt"+"q\x00", "h\x00Q", 2),
		"objects of unknown classes":   repeated("cnets\nNet\nq\x00)q\x01", "h\x00h\x01R", 3),
		"states of unknown classes":    repeated("cnets\nNet\n)R", "}b", 2),
		"arguments of unknown classes": repeated("cnets\nNet\nq\x00"+dict(20000)+"\x85q\x01", "h\x00h\x01R", 3),
		"parameters":                   repeated("ctorch._utils\n_rebuild_parameter\nq\x00"+dict(20000)+"\x85q\x01", "h\x00h\x01R", 3),
	}
}

// bombVar names the file that the child of TestBombs reads.
const bombVar = "DYNVIT_TEST_BOMB"

// TestBombs: whatever opcode a checkpoint of a few megabytes repeats, it is refused, or
// read, in 300 MiB and 5 s of a processor, and in one line.
func TestBombs(t *testing.T) {
	if path := os.Getenv(bombVar); path != "" {
		readBomb(path)
		return
	}
	if testing.Short() {
		t.Skip("reads up to 64 MB a case")
	}
	dir := t.TempDir()
	for name, object := range bombs() {
		checkBomb(t, name, dir, zipped(t, object, nil))
	}
	five := bytes.Join([][]byte{legacy(nil, "\x88", nil, nil)[:21], repeated("", "}", 1), repeated("", "}", 1)}, nil)
	checkBomb(t, "a legacy file's pickles", dir, five)
	checkBomb(t, "entries of a zip", dir, manyEntries(maxPickle))
}

// manyEntries is a zip of n bytes of nothing but names.
func manyEntries(n int) []byte {
	const header = 46
	out := append([]byte("PK\x03\x04"), make([]byte, 26)...)
	start, count := len(out), 0
	for ; len(out) < n; count++ {
		e := append([]byte("PK\x01\x02"), make([]byte, header-4)...)
		name := strconv.FormatInt(int64(count), 36)
		e[28] = byte(len(name))
		out = append(append(out, e...), name...)
	}
	size := len(out) - start
	out = append(out, "PK\x05\x06\x00\x00\x00\x00"...)
	out = binary.LittleEndian.AppendUint16(out, uint16(count))
	out = binary.LittleEndian.AppendUint16(out, uint16(count))
	out = binary.LittleEndian.AppendUint32(out, uint32(size))
	out = binary.LittleEndian.AppendUint32(out, uint32(start))
	return append(out, 0, 0)
}

// readBomb says what reading came to, and the most memory that it took.
func readBomb(path string) {
	f, err := ReadPTH(path, "")
	if err == nil {
		f.Close()
	}
	status, _ := os.ReadFile("/proc/self/status")
	fmt.Printf("%q %s\n", fmt.Sprint(err), regexp.MustCompile(`VmHWM:\s+\d+`).Find(status))
}

func checkBomb(t *testing.T, name, dir string, file []byte) {
	t.Helper()
	path := filepath.Join(dir, "m.pth")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestBombs$")
	child.Env = append(os.Environ(), bombVar+"="+path)
	out, err := child.CombinedOutput()
	found := regexp.MustCompile(`(?m)^"(.*)" VmHWM:\s+(\d+)$`).FindStringSubmatch(string(out))
	if err != nil || found == nil {
		t.Errorf("%s: %v, %.300s", name, err, out)
		return
	}
	peak, _ := strconv.Atoi(found[2]) // digits by the pattern
	used := child.ProcessState.UserTime() + child.ProcessState.SystemTime()
	if !needs.Race && (peak > 300<<10 || used > 5*time.Second) || found[1] == "<nil>" || len(found[1]) > 300 || strings.Contains(found[1], `\n`) {
		t.Errorf("%s: %d MiB, %v of a processor, %q; want at most 300 MiB, 5s, and one line", name, peak>>10, used, found[1])
	}
	t.Logf("%-30s %4d MiB %6.2f s  %.80s", name, peak>>10, used.Seconds(), found[1])
}
