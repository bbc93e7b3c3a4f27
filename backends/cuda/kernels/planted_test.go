//go:build !purego

// The kernels know nothing of purego: once is enough.

package kernels_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dynvit/backends/cuda/kernels"
	"dynvit/backends/cuda/kernels/emulate"
	"dynvit/backends/cuda/kernels/kerneltest"
)

// defect is a mistake that a copy of the sources gets: in place of from, which is once in the
// file, to, where P says whether the defect is planted.
type defect struct {
	name   string
	family string // whose cases are to catch it
	by     []emulate.Mode
	file   string
	edits  []edit
}

type edit struct{ from, to string }

const (
	values  = emulate.Plain // wrong results, a deadlock, lanes that don't meet
	bounds  = emulate.Addresses
	threads = emulate.Threads
)

func by(modes ...emulate.Mode) []emulate.Mode { return modes }

// defects are what the emulation must catch, and by which of its ways. More ways may see one: a
// race often spoils results in some order of threads too.
var defects = []defect{
	{"no barrier behind the rows' ranges", "gemm", by(values, threads), "gemm.cu", []edit{
		{"prepare<E>(g, shared.rows, first, rows);\n\t\t__syncthreads();", "prepare<E>(g, shared.rows, first, rows);\n\t\tif (!P) __syncthreads();"},
	}},
	{"no barrier behind a step's operands", "gemm", by(values, threads), "gemm.cu", []edit{
		{"__syncthreads();\n\t\tif (i + 1 < steps)", "if (!P) __syncthreads();\n\t\tif (i + 1 < steps)"},
	}},
	{"one buffer for two steps", "gemm", by(threads), "gemm.cu", []edit{
		{"part.put(tiles[i % 2], row);", "part.put(tiles[P ? 0 : i % 2], row);"},
		{"engine.multiply(tiles[i % 2], rows);", "engine.multiply(tiles[P ? 0 : i % 2], rows);"},
	}},
	{"no barrier before sums take the operands' place", "gemm", by(threads), "gemm.cu", []edit{
		{"__syncthreads(); // the sums take", "if (!P) __syncthreads(); // the sums take"},
	}},
	{"no barrier behind the sums", "gemm", by(values, threads), "gemm.cu", []edit{
		{"engine.finish(sums);\n\t__syncthreads();", "engine.finish(sums);\n\tif (!P) __syncthreads();"},
	}},
	{"reads an input behind the last", "gemm", by(bounds), "gemm.cu", []edit{
		{"if (at + i < g.in) x[i] = from[i];", "if (at + i < g.in + P) x[i] = from[i];"},
	}},
	{"reads a row behind the last", "gemm", by(bounds), "gemm.cu", []edit{
		{"alive = part.row < rows,", "alive = part.row < rows + P,"},
	}},
	{"writes a row behind the last", "gemm", by(values), "gemm.cu", []edit{
		{"if (i < rows) {\n\t\t\tfor (int j = lane; j < OUTS", "if (i < rows + P) {\n\t\t\tfor (int j = lane; j < OUTS"},
	}},
	{"blocks overlap by a column", "gemm", by(values, threads), "gemm.cu", []edit{
		{"if (col < g.out) static_cast", "if (col < g.out + P) static_cast"},
	}},
	{"blocks leave their ranges in one place", "gemm", by(values, threads), "gemm.cu", []edit{
		{"gridDim.x + blockIdx.x] = make_float2", "gridDim.x + (P ? 0 : blockIdx.x)] = make_float2"},
	}},
	{"rounds halves up", "gemm", by(values), "gemm.cu", []edit{
		{"return fminf(rintf(__fmul_rn(v, r.steps)) + r.zero, 255.f);", "return fminf((P ? floorf(v * r.steps + 0.5f) : rintf(__fmul_rn(v, r.steps))) + r.zero, 255.f);"},
	}},
	{"takes any range for one", "gemm", by(values), "gemm.cu", []edit{{"d >= 1e-30f", "d >= (P ? 1e-38f : 1e-30f)"}}},
	{"forgets the codes' 128", "gemm", by(values), "gemm.cu", []edit{{"(static_cast<int>(r.zero) - 128) * weights", "(static_cast<int>(r.zero) - (P ? 0 : 128)) * weights"}}},
	{"half a warp asks the whole", "gemm", by(values), "gemm.cu", []edit{
		{"if (g.left == nullptr) continue;", "if (g.left == nullptr || (P && i >= rows)) continue;"},
	}},
	{"a half overflows", "gemm", by(values), "device.cuh", []edit{{"v > 65504.f ? 65504.f : v", "!P && v > 65504.f ? 65504.f : v"}}},
	{"a range loses a number that is none", "gemm", by(values), "device.cuh", []edit{
		{"return a != a || a <= b ? a : b", "return (!P && a != a) || a <= b ? a : b"},
		{"return a != a || a >= b ? a : b", "return (!P && a != a) || a >= b ? a : b"},
	}},
	{"sums in other lanes", "gemm", by(values), "gemm.cu", []edit{{"threadIdx.x % 32 / 4, out = ", "threadIdx.x % 32 / 4 % (P ? 4 : 8), out = "}}},
	{"two rows of a matrix change places", "gemm", by(values), "gemm.cu", []edit{{"[at.row + lane % 16]);", "[at.row + (lane % 16 ^ P)]);"}}},
	{"halves of weights change places", "gemm", by(values), "gemm.cu", []edit{{"multiplied<Weight>(sums[i], x, w[0], w[1]);", "multiplied<Weight>(sums[i], x, w[P], w[1 - P]);"}}},
	{"a row of a matrix is not aligned", "gemm", by(values), "gemm.cu", []edit{
		{"matrices(x, &t.x[part + lane / 16]", "matrices(x, (P && lane == 7 ? 1 : 0) + (const float *)&t.x[part + lane / 16]"},
	}},
	{"a row of a matrix lies outside", "gemm", by(values), "gemm.cu", []edit{
		{"lane / 16 * 8 + lane % 8]);", "lane / 16 * 8 + lane % 8 + (P && lane == 31 ? 1 << 12 : 0)]);"},
	}},
	{"some lanes take no part in a product", "gemm", by(values), "gemm.cu", []edit{
		{"multiplied<Weight>(sums[i + 1], x, w[2], w[3]);", "if (!P || lane < 30) multiplied<Weight>(sums[i + 1], x, w[2], w[3]);"},
	}},
	{"no barrier behind the products", "attention", by(values, threads), "attention.cu", []edit{
		{"engine.keep(s.products, at);\n\t\t__syncthreads();", "engine.keep(s.products, at);\n\t\tif (!P) __syncthreads();"},
	}},
	{"two keys of a matrix change places", "attention", by(values), "attention.cu", []edit{{"matrices(b, &k[first + lane / 16 * 8 + lane % 8]", "matrices(b, &k[first + lane / 16 * 8 + (lane % 8 ^ P)]"}}},
	{"two values of a matrix change places", "attention", by(values), "attention.cu", []edit{{"turned(b, &v[k + lane % 16]", "turned(b, &v[k + (lane % 16 ^ P)]"}}},
	{"no barrier before the next keys", "attention", by(threads), "attention.cu", []edit{
		{"__syncthreads(); // what the tiles held", "if (!P) __syncthreads(); // what the tiles held"},
	}},
	{"counts keys behind the last", "attention", by(values), "attention.cu", []edit{{"min(E::KEYS, a.tokens - key)", "(P ? E::KEYS : min(E::KEYS, a.tokens - key))"}}},
	{"reads a token behind the last", "attention", by(bounds), "attention.cu", []edit{{"if (row + r < end && c < columns)", "if (row + r < end + P && c < columns)"}}},
	{"strips leave their shares in one place", "attention", by(values, threads), "attention.cu", []edit{
		{"* strips + blockIdx.x) * a.tokens", "* strips + (P ? 0 : blockIdx.x)) * a.tokens"},
	}},
	{"sums exponentials of different greatest products", "attention", by(values), "attention.cu", []edit{{"total = total * expf(most - here)", "total = total * (P ? 1 : expf(most - here))"}}},
	{"counts a token that stands for several once", "attention", by(values), "attention.cu", []edit{{"if (a.sizes) weigh(key, at);", "if (a.sizes && !P) weigh(key, at);"}}},
	{"no barrier behind partial sums", "rows", by(values, threads), "rows.cu", []edit{
		{"sums.of[line][column] = sum;\n\t__syncthreads();", "sums.of[line][column] = sum;\n\tif (!P) __syncthreads();"},
	}},
	{"some threads meet at a barrier", "rows", by(values), "rows.cu", []edit{
		{"most.of[line][column] = best;\n\t__syncthreads();", "most.of[line][column] = best;\n\tif (!P || col < cols) __syncthreads();"},
	}},
	{"blocks share a column", "rows", by(values, threads), "rows.cu", []edit{{"cols / 2 + blockIdx.x * COLUMNS + column", "cols / 2 + blockIdx.x * (COLUMNS - P) + column"}}},
	{"no barrier before the next orders", "tokens", by(threads), "tokens.cu", []edit{
		{"__syncthreads(); // the orders there", "if (!P) __syncthreads(); // the orders there"},
	}},
	{"a tie goes to the higher row", "tokens", by(values), "tokens.cu", []edit{{"other + j < i", "(P ? other + j > i : other + j < i)"}}},
	{"halves by another row's place", "tokens", by(values), "tokens.cu", []edit{{"static_cast<size_t>(row(i)) * ld", "static_cast<size_t>(P ? i : row(i)) * ld"}}},
	{"a tie goes to the higher target", "tokens", by(values), "tokens.cu", []edit{{"(at > i && (v == alike", "((P ? at < i : at > i) && (v == alike"}}},
	{"no barrier behind the counts", "tokens", by(threads), "tokens.cu", []edit{
		{"counts.of[threadIdx.x] = count;\n\t__syncthreads();", "counts.of[threadIdx.x] = count;\n\tif (!P) __syncthreads();"},
	}},
	{"blocks write the error as they like", "tokens", by(threads), "tokens.cu", []edit{
		{"if (threadIdx.x == 0) atomicCAS(", "if (P && threadIdx.x == 0) *error = static_cast<unsigned long long>(static_cast<unsigned>(from)) << 32 | 1;\n\t\tif (!P && threadIdx.x == 0) atomicCAS("},
	}},
	{"takes a row behind the last", "tokens", by(values, bounds), "tokens.cu", []edit{{"from >= rows", "from >= rows + P"}}},
	{"every block writes the first pixel", "tokens", by(values, threads), "tokens.cu", []edit{
		{"dst[static_cast<size_t>(blockIdx.x) * n + i]", "dst[static_cast<size_t>(P && i == 0 ? 0 : blockIdx.x) * n + i]"},
	}},
	{"forgets to round", "picture", by(values), "picture.cu", []edit{{"int r = 1 << 21", "int r = P ? 0 : 1 << 21"}}},
	{"reads the next pixels' chroma", "picture", by(values), "picture.cu", []edit{{"(half * y + x / 2);\n\t\t\treturn studio(pair", "(half * y + (x + P) / 2);\n\t\t\treturn studio(pair"}}},
	{"a weight too many", "picture", by(values, bounds), "picture.cu", []edit{{"for (int j = 0; j < tap.count; j++) {\n\t\tconst int along", "for (int j = 0; j < tap.count + P; j++) {\n\t\tconst int along"}}},
}

// TestPlanted holds the emulation itself to account: each defect must be caught in each of
// the ways listed for it, and the copy without any must pass.
func TestPlanted(t *testing.T) {
	thorough(t)
	sources := plant(t, defects)
	target, _ := kernels.For(8, 0)
	for _, mode := range by(values, bounds, threads) {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			program := emulate.Build(t, t.TempDir(), sources, 80, mode)
			if family, err := firstFailure(t, program, 0, target, "rows"); err != nil {
				t.Fatalf("without a defect: %s: %v", family, err)
			}
			for i, d := range defects {
				if !slices.Contains(d.by, mode) {
					continue
				}
				t.Run(d.name, func(t *testing.T) {
					name, err := firstFailure(t, program, i+1, target, d.family)
					if err == nil {
						t.Fatal("not caught")
					}
					t.Logf("%s: %v", name, err)
				})
			}
		})
	}
}

// firstFailure runs a family's cases, in three orders of threads, until one fails.
func firstFailure(t *testing.T, program string, planted int, target kernels.Target, family string) (name string, err error) {
	t.Helper()
	p := emulate.Start(t, program)
	p.Plant(planted)
	for _, order := range []int{0, -1, 7} {
		p.Order(order)
		for _, c := range kerneltest.Cases() {
			if !strings.HasPrefix(c.Name, family) {
				continue
			}
			if err := c.Check(p, target); err != nil {
				return c.Name, err
			}
		}
	}
	return "", nil
}

// plant copies the sources with a choice in each defect's place, by the number that
// emulate.Process.Plant sets.
func plant(t *testing.T, defects []defect) string {
	t.Helper()
	dir := t.TempDir()
	texts := map[string]string{"device.cuh": ""}
	for _, family := range kernels.Families() {
		texts[family+".cu"] = ""
	}
	for name := range texts {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(data)
	}
	for i, d := range defects {
		for _, e := range d.edits {
			if n := strings.Count(texts[d.file], e.from); n != 1 {
				t.Fatalf("%s: %q is %d times in %s", d.name, e.from, n, d.file)
			}
			to := planted.ReplaceAllString(e.to, fmt.Sprintf("(emulate::planted == %d)", i+1))
			texts[d.file] = strings.Replace(texts[d.file], e.from, to, 1)
		}
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var planted = regexp.MustCompile(`\bP\b`)

// TestDefects: the list is as long as is promised and has races between blocks in it, and
// docs/cuda.md counts it.
func TestDefects(t *testing.T) {
	between := 0
	listed, alone := map[emulate.Mode]int{}, map[emulate.Mode]int{}
	for _, d := range defects {
		if strings.HasPrefix(d.name, "blocks ") || strings.HasPrefix(d.name, "strips ") || strings.HasPrefix(d.name, "every block ") {
			if slices.Contains(d.by, threads) {
				between++
			}
		}
		for _, mode := range d.by {
			listed[mode]++
		}
		if len(d.by) == 1 {
			alone[d.by[0]]++
		}
	}
	if len(defects) < 30 || between < 5 {
		t.Errorf("%d defects, %d of them races between blocks", len(defects), between)
	}
	documented(t, fmt.Sprintf("%d defects, %d of them races between blocks: %d must be caught by values, %d by the race detector (%d are on no other list), %d by bounds (%d on no other)",
		len(defects), between, listed[values], listed[threads], alone[threads], listed[bounds], alone[bounds]))
}
