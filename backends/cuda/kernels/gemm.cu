// dst = act(norm(x)·Wᵀ + b) + res: backends.Linear, with LayerNorm ahead of it where it is
// asked for. Rows of x are float32 and become operands on their way into shared memory, so
// that no pass over them stands alone; under int8 each row's range is found first, or
// comes from the kernel that wrote the row (ranges), which left it in parts of 64 columns.
//
// A block of 128 threads makes 32 rows × 64 outputs: of the rows of 197 tokens' strips 88 % are then
// tokens, of 68 tokens' 71 %; strips of 64 would have 77 and 53 %. Weights are packed in tiles of
// 64 outputs × 64 bytes of inputs (pack.go), padded with zeros.
#include "device.cuh"

namespace gemm {

enum : int { ROWS = 32, OUTS = 64, THREADS = 128 };
enum : int { TILE = 4096, TILE_ROW = 64 }; // bytes

enum : int { NONE, GELU, RELU, QUICK_GELU, TANH_GELU }; // backends.Act
enum : int { STORE_F32, STORE_F16, STORE_BF16 };

struct Gemm {
	const void *x;
	int ldx, packed;
	const byte *w;
	const float *scale;
	const int *sums;
	const float *bias, *res;
	void *y;
	int ldy, stored;
	const float *gamma, *beta;
	float eps;
	const float2 *ranges;
	int parts;
	float2 *left;
	int rows, in, out, act;
};

// Row is what turns a row's numbers into operands: LayerNorm's moments, and int8's
// steps in a unit, zero point and scale.
struct Row { float mean, inverse, steps, zero, scale; };

// code is backends.QuantizeInput's code of v, to the bit.
__device__ inline float code(float v, const Row &r) {
	return fminf(rintf(__fmul_rn(v, r.steps)) + r.zero, 255.f);
}

// fit sets steps, zero point and scale to a row's range, as backends.QuantizeInput does.
__device__ inline void fit(Row &r, Range range) {
	const float d = __fsub_rn(range.most, range.least);
	r.steps = r.zero = r.scale = 0;
	if (d - d != 0) {
		r.scale = NOT_A_NUMBER; // and so is all that it scales
	} else if (d >= 1e-30f) {
		r.steps = __fdiv_rn(255.f, d);
		r.zero = rintf(__fmul_rn(-range.least, r.steps));
		r.scale = __fdiv_rn(d, 255.f);
	}
}

// Engines. An engine owns the operands' type and place in shared memory and multiplies
// them, STEP inputs at a time. put stores a thread's part of a step: STEP/4 inputs of a row,
// STEP/2 weights of an output. multiply adds the products, of rows rows; finish writes the sums.

// Lanes is where Scalar's threads are in the tile: each has 4 rows × 4 outputs.
struct Lanes {
	int row = threadIdx.x / 16 * 4, out = threadIdx.x % 16 * 4;
};

// Scalar keeps operands as floats, whatever they were rounded to.
template <class W> struct Scalar {
	typedef W Weight;
	typedef float Sum;
	static constexpr int STEP = 16;
	static constexpr bool CODES = false;
	struct Tiles { float x[STEP][ROWS + 4], w[STEP][OUTS + 4]; };

	Lanes at;
	float sums[4][4] = {};

	__device__ static void put_x(Tiles &t, int row, int k, const float (&v)[STEP / 4], const Row &) {
#pragma unroll
		for (int i = 0; i < STEP / 4; i++) t.x[k + i][row] = widened(rounded<W>(v[i]));
	}

	__device__ static void put_w(Tiles &t, int out, int k, const W (&v)[STEP / 2]) {
#pragma unroll
		for (int i = 0; i < STEP / 2; i++) t.w[k + i][out] = widened(v[i]);
	}

	__device__ void multiply(const Tiles &t, int rows) {
		if (at.row >= rows) return;
#pragma unroll
		for (int k = 0; k < STEP; k++) {
			const float4 x = *reinterpret_cast<const float4 *>(&t.x[k][at.row]);
			const float4 w = *reinterpret_cast<const float4 *>(&t.w[k][at.out]);
			const float xs[4] = {x.x, x.y, x.z, x.w}, ws[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
			for (int i = 0; i < 4; i++)
#pragma unroll
				for (int j = 0; j < 4; j++) sums[i][j] = __fmaf_rn(xs[i], ws[j], sums[i][j]);
		}
	}

	__device__ void finish(Sum (*to)[OUTS + 4]) {
#pragma unroll
		for (int i = 0; i < 4; i++)
#pragma unroll
			for (int j = 0; j < 4; j++) to[at.row + i][at.out + j] = sums[i][j];
	}
};

// ScalarCodes multiplies codes as floats. Their sums are exact below 2^24, which 512 products
// of at most 255·127 are; after as many they are added up as integers.
struct ScalarCodes {
	typedef signed char Weight;
	typedef int Sum;
	typedef Scalar<float> Floats;
	static constexpr int STEP = Floats::STEP, EXACT = 512;
	static constexpr bool CODES = true;
	typedef Floats::Tiles Tiles;

	Floats floats;
	int whole[4][4] = {};
	int inputs = 0;

	__device__ static void put_x(Tiles &t, int row, int k, const float (&v)[STEP / 4], const Row &r) {
#pragma unroll
		for (int i = 0; i < STEP / 4; i++) t.x[k + i][row] = code(v[i], r) - r.zero;
	}

	__device__ static void put_w(Tiles &t, int out, int k, const Weight (&v)[STEP / 2]) {
#pragma unroll
		for (int i = 0; i < STEP / 2; i++) t.w[k + i][out] = v[i];
	}

	__device__ void multiply(const Tiles &t, int rows) {
		floats.multiply(t, rows);
		inputs += STEP;
		if (inputs == EXACT) gather();
	}

	__device__ void gather() {
#pragma unroll
		for (int i = 0; i < 4; i++)
#pragma unroll
			for (int j = 0; j < 4; j++) {
				whole[i][j] += static_cast<int>(floats.sums[i][j]);
				floats.sums[i][j] = 0;
			}
		inputs = 0;
	}

	__device__ void finish(Sum (*to)[OUTS + 4]) {
		gather();
#pragma unroll
		for (int i = 0; i < 4; i++)
#pragma unroll
			for (int j = 0; j < 4; j++) to[floats.at.row + i][floats.at.out + j] = whole[i][j];
	}

	// centred is Σ (q-z)·qw, which the sum is.
	__device__ static int centred(int sum, const Row &, int) { return sum; }
};

#ifdef TENSOR_CORES
// Warp is where a warp is in the tile: 16 rows × 32 outputs.
struct Warp {
	int row = threadIdx.x / 64 * 16, out = threadIdx.x / 32 % 2 * 32;
};

// Rounded are halves or bfloat16s as tensor cores' operands.
template <class T> struct Rounded {
	typedef T Weight;
	typedef float Sum;

	__device__ static T operand(float v, const Row &) { return rounded<T>(v); }
};

// Signed are codes as tensor cores' operands, which take two signed bytes: q-128. The sums of the
// weights' codes, which come packed with them, take the 128 away again.
struct Signed {
	typedef signed char Weight;
	typedef int Sum;

	__device__ static signed char operand(float v, const Row &r) { return static_cast<signed char>(static_cast<int>(code(v, r)) - 128); }

	// centred is Σ (q-z)·qw of Σ (q-128)·qw.
	__device__ static int centred(int sum, const Row &r, int weights) { return sum - (static_cast<int>(r.zero) - 128) * weights; }
};
#endif

#ifdef MMA
// Tiled multiplies by mma.sync: a step has 64 bytes of each row and output, in four parts of 16. Parts of one
// number lie one behind the other, then 32 bytes of nothing: so eight rows of a matrix use each bank once, and
// so do the parts that eight threads put.
template <class Operands> struct Tiled : Operands {
	typedef typename Operands::Weight Weight;
	typedef typename Operands::Sum Sum;
	static constexpr int PART = 16 / sizeof(Weight), STEP = 4 * PART;
	static constexpr bool CODES = sizeof(Weight) == 1;
	struct alignas(128) Tiles { uint4 x[4][ROWS + 2], w[4][OUTS + 2]; };

	Warp at;
	Sum sums[4][4] = {}; // of eight outputs each

	__device__ static void put_x(Tiles &t, int row, int k, const float (&v)[PART], const Row &r) {
		alignas(16) Weight operands[PART];
#pragma unroll
		for (int i = 0; i < PART; i++) operands[i] = Operands::operand(v[i], r);
		t.x[k / PART][row] = *reinterpret_cast<const uint4 *>(operands);
	}

	__device__ static void put_w(Tiles &t, int out, int k, const Weight (&v)[2 * PART]) {
#pragma unroll
		for (int i = 0; i < 2; i++) t.w[k / PART + i][out] = reinterpret_cast<const uint4 *>(v)[i];
	}

	// multiply takes rows that are none, too, whose sums nobody reads: with a branch halves need 8 registers
	// more than 56 (ptxas 12.9), and one block in nine does not fit.
	__device__ void multiply(const Tiles &t, int) {
		const int lane = threadIdx.x % 32;
#pragma unroll
		for (int part = 0; part < 4; part += 2) {
			unsigned x[4], w[4]; // w: two parts of eight outputs, then of the next eight
			matrices(x, &t.x[part + lane / 16][at.row + lane % 16]);
#pragma unroll
			for (int i = 0; i < 4; i += 2) {
				matrices(w, &t.w[part + lane / 8 % 2][at.out + 8 * i + lane / 16 * 8 + lane % 8]);
				multiplied<Weight>(sums[i], x, w[0], w[1]);
				multiplied<Weight>(sums[i + 1], x, w[2], w[3]);
			}
		}
	}

	__device__ void finish(Sum (*to)[OUTS + 4]) {
		const int row = at.row + threadIdx.x % 32 / 4, out = at.out + threadIdx.x % 4 * 2;
#pragma unroll
		for (int i = 0; i < 4; i++)
#pragma unroll
			for (int j = 0; j < 4; j++) to[row + j / 2 * 8][out + 8 * i + j % 2] = sums[i][j];
	}
};
#elif defined TENSOR_CORES
using namespace nvcuda;

// Fragments are an engine's sums, two fragments.
template <class S> struct Fragments {
	Warp at;
	wmma::fragment<wmma::accumulator, 16, 16, 16, S> sums[2];

	__device__ Fragments() {
		wmma::fill_fragment(sums[0], S(0));
		wmma::fill_fragment(sums[1], S(0));
	}

	__device__ void finish(S (*to)[OUTS + 4]) {
		for (int i = 0; i < 2; i++) {
			wmma::store_matrix_sync(&to[at.row][at.out + 16 * i], sums[i], OUTS + 4, wmma::mem_row_major);
		}
	}
};

// copied copies N operands, 16 bytes at a time.
template <int N, class T> __device__ inline void copied(T *to, const T *from) {
#pragma unroll
	for (int i = 0; i < N * static_cast<int>(sizeof(T)) / 16; i++) {
		reinterpret_cast<uint4 *>(to)[i] = reinterpret_cast<const uint4 *>(from)[i];
	}
}

// Tensor multiplies halves by wmma. Rows are 80 bytes apart, so that 8 of them lie in different banks.
template <class T> struct Tensor : Rounded<T>, Fragments<float> {
	static constexpr int STEP = 32, LD = STEP + 8;
	static constexpr bool CODES = false;
	struct alignas(32) Tiles { T x[ROWS][LD], w[OUTS][LD]; };

	__device__ static void put_x(Tiles &t, int row, int k, const float (&v)[STEP / 4], const Row &r) {
		alignas(16) T operands[STEP / 4];
#pragma unroll
		for (int i = 0; i < STEP / 4; i++) operands[i] = Tensor::operand(v[i], r);
		copied<STEP / 4>(&t.x[row][k], operands);
	}

	__device__ static void put_w(Tiles &t, int out, int k, const T (&v)[STEP / 2]) { copied<STEP / 2>(&t.w[out][k], v); }

	__device__ void multiply(const Tiles &t, int rows) {
		if (at.row >= rows) return;
#pragma unroll
		for (int k = 0; k < STEP; k += 16) {
			wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major> x;
			wmma::load_matrix_sync(x, &t.x[at.row][k], LD);
#pragma unroll
			for (int i = 0; i < 2; i++) {
				wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::col_major> w;
				wmma::load_matrix_sync(w, &t.w[at.out + 16 * i][k], LD);
				wmma::mma_sync(sums[i], x, w, sums[i]);
			}
		}
	}
};

// TensorCodes multiplies codes by wmma. Slices of 16 inputs lie one behind the other: 8 rows of
// 16 bytes fill all banks once.
struct TensorCodes : Signed, Fragments<int> {
	static constexpr int STEP = 64;
	static constexpr bool CODES = true;
	struct alignas(32) Tiles { signed char x[STEP / 16][ROWS][16], w[STEP / 16][OUTS][16]; };

	__device__ static void put_x(Tiles &t, int row, int k, const float (&v)[STEP / 4], const Row &r) {
		alignas(16) signed char codes[STEP / 4];
#pragma unroll
		for (int i = 0; i < STEP / 4; i++) codes[i] = operand(v[i], r);
		copied<STEP / 4>(t.x[k / 16][row], codes);
	}

	__device__ static void put_w(Tiles &t, int out, int k, const signed char (&v)[STEP / 2]) {
#pragma unroll
		for (int i = 0; i < STEP / 2; i += 16) copied<16>(t.w[(k + i) / 16][out], v + i);
	}

	__device__ void multiply(const Tiles &t, int rows) {
		if (at.row >= rows) return;
#pragma unroll
		for (int k = 0; k < STEP / 16; k++) {
			wmma::fragment<wmma::matrix_a, 16, 16, 16, signed char, wmma::row_major> x;
			wmma::load_matrix_sync(x, t.x[k][at.row], 16);
#pragma unroll
			for (int i = 0; i < 2; i++) {
				wmma::fragment<wmma::matrix_b, 16, 16, 16, signed char, wmma::col_major> w;
				wmma::load_matrix_sync(w, t.w[k][at.out + 16 * i], 16);
				wmma::mma_sync(sums[i], x, w, sums[i]);
			}
		}
	}
};
#endif

// Part is a thread's part of a step: STEP/4 inputs of row number row of the strip, and
// STEP/2 weights of output number out. It is fetched while the step before is multiplied.
template <class E> struct Part {
	typedef typename E::Weight Weight;
	static constexpr int INPUTS = E::STEP / 4, WEIGHTS = E::STEP / 2;

	int row = threadIdx.x / 4, k = threadIdx.x % 4 * INPUTS;
	int out = threadIdx.x / 2, from = threadIdx.x % 2 * WEIGHTS;
	float x[INPUTS];
	alignas(16) Weight w[WEIGHTS];

	__device__ void fetch(const Gemm &g, const Row &r, int step, bool alive, bool wide) {
		fetch_w(g, step * E::STEP + from);
		const int at = step * E::STEP + k;
#pragma unroll
		for (int i = 0; i < INPUTS; i++) x[i] = 0;
		if (alive) fetch_x(g, at, wide);
		if (g.gamma) {
#pragma unroll
			for (int i = 0; i < INPUTS; i++) {
				if (at + i < g.in) x[i] = normalised(x[i], r.mean, r.inverse, g.gamma[at + i], g.beta[at + i]);
			}
		}
	}

	__device__ void fetch_w(const Gemm &g, int at) {
		constexpr int WIDE = TILE_ROW / sizeof(Weight), BYTES = sizeof w;
		const int tiles = (g.in + WIDE - 1) / WIDE;
		const byte *p = g.w + (static_cast<size_t>(blockIdx.x) * tiles + at / WIDE) * TILE + out * TILE_ROW + at % WIDE * sizeof(Weight);
		if constexpr (BYTES == 8) {
			*reinterpret_cast<uint2 *>(w) = *reinterpret_cast<const uint2 *>(p);
		} else {
#pragma unroll
			for (int i = 0; i < BYTES / 16; i++) reinterpret_cast<uint4 *>(w)[i] = reinterpret_cast<const uint4 *>(p)[i];
		}
	}

	__device__ void fetch_x(const Gemm &g, int at, bool wide) {
		const size_t start = static_cast<size_t>(blockIdx.y * ROWS + row) * g.ldx + at;
		if (g.packed) {
			fetch_packed(static_cast<const Weight *>(g.x) + start);
			return;
		}
		const float *from = static_cast<const float *>(g.x) + start;
		if (wide && at + INPUTS <= g.in) {
#pragma unroll
			for (int i = 0; i < INPUTS; i += 4) {
				const float4 v = *reinterpret_cast<const float4 *>(from + i);
				x[i] = v.x, x[i + 1] = v.y, x[i + 2] = v.z, x[i + 3] = v.w;
			}
			return;
		}
#pragma unroll
		for (int i = 0; i < INPUTS; i++) {
			if (at + i < g.in) x[i] = from[i];
		}
	}

	__device__ void fetch_packed(const Weight *from) {
		if constexpr (sizeof(Weight) == 2) {
			alignas(16) Weight v[INPUTS];
			if constexpr (INPUTS == 4) {
				*reinterpret_cast<uint2 *>(v) = *reinterpret_cast<const uint2 *>(from);
			} else {
				*reinterpret_cast<uint4 *>(v) = *reinterpret_cast<const uint4 *>(from);
			}
#pragma unroll
			for (int i = 0; i < INPUTS; i++) x[i] = widened(v[i]);
		}
	}

	__device__ void put(typename E::Tiles &t, const Row &r) {
		E::put_x(t, row, k, x, r);
		E::put_w(t, out, from, w);
	}
};

// prepare finds what the strip's rows need, a warp a row.
template <class E> __device__ void prepare(const Gemm &g, Row *of, int first, int rows) {
	const int lane = threadIdx.x % 32;
	for (int i = threadIdx.x / 32; i < rows; i += THREADS / 32) {
		const float *row = static_cast<const float *>(g.x) + static_cast<size_t>(first + i) * g.ldx;
		Row r = {};
		if (g.gamma) {
			const Moments m = moments(row, g.in, g.eps, lane);
			r.mean = m.mean, r.inverse = m.inverse;
		}
		if (E::CODES) {
			Range range = {0, 0};
			if (g.ranges) {
				for (int j = lane; j < g.parts; j += 32) {
					const float2 part = g.ranges[static_cast<size_t>(first + i) * g.parts + j];
					range.take(part.x);
					range.take(part.y);
				}
			} else {
				for (int j = lane; j < g.in; j += 32) {
					range.take(g.gamma ? normalised(row[j], r.mean, r.inverse, g.gamma[j], g.beta[j]) : row[j]);
				}
			}
			fit(r, range_over<32>(range));
		}
		if (lane == 0) of[i] = r;
	}
}

__device__ inline float activated(float v, int act) {
	if (act == GELU) return 0.5f * v * (1 + erff(v * 0.70710678f));
	if (act == RELU) return v < 0 ? 0 : v; // NaN stays
	if (act == QUICK_GELU) return v / (1 + expf(-1.702f * v));
	if (act == TANH_GELU) return 0.5f * v * (1 + tanhf(0.7978845608f * (v + 0.044715f * v * v * v)));
	return v;
}

__device__ inline void store(const Gemm &g, int row, int col, float v) {
	const size_t at = static_cast<size_t>(row) * g.ldy + col;
	if (g.stored == STORE_F32) {
		if (col < g.out) static_cast<float *>(g.y)[at] = v;
	} else if (g.stored == STORE_F16) {
		static_cast<__half *>(g.y)[at] = rounded<__half>(v);
#ifdef BF16
	} else {
		static_cast<__nv_bfloat16 *>(g.y)[at] = rounded<__nv_bfloat16>(v);
#endif
	}
}

// result is one number of dst, 0 behind the last output.
template <class E> __device__ inline float result(const Gemm &g, const Row &r, typename E::Sum sum, int row, int col) {
	if (col >= g.out) return 0;
	const float bias = g.bias ? g.bias[col] : 0;
	float v;
	if constexpr (E::CODES) {
		v = __fmaf_rn(static_cast<float>(E::centred(sum, r, g.sums[col])), __fmul_rn(r.scale, g.scale[col]), bias);
	} else {
		v = sum + bias;
	}
	v = activated(v, g.act);
	return g.res ? v + g.res[static_cast<size_t>(row) * g.out + col] : v;
}

// write makes dst of the sums: half a warp a row, 16 columns at a time.
template <class E> __device__ void write(const Gemm &g, const Row *of, const typename E::Sum (*sums)[OUTS + 4], int first, int rows) {
	const int lane = threadIdx.x % 16;
	for (int i = threadIdx.x / 16; i < ROWS; i += THREADS / 16) {
		const int row = first + i;
		Range range = {0, 0};
		if (i < rows) {
			for (int j = lane; j < OUTS; j += 16) {
				const int col = blockIdx.x * OUTS + j;
				const float v = result<E>(g, of[i], sums[i][j], row, col);
				store(g, row, col, v);
				range.take(v);
			}
		}
		if (g.left == nullptr) continue;
		range = range_over<16>(range);
		if (lane == 0 && i < rows) g.left[static_cast<size_t>(row) * gridDim.x + blockIdx.x] = make_float2(range.least, range.most);
	}
}

// Shared holds two steps' operands, then the sums.
template <class E> struct Shared {
	static constexpr size_t TILES = 2 * sizeof(typename E::Tiles), SUMS = sizeof(typename E::Sum[ROWS][OUTS + 4]);
	alignas(128) byte bytes[TILES > SUMS ? TILES : SUMS];
	Row rows[ROWS];
};

template <class E> __device__ void gemm(const Gemm &g) {
	SHARED(Shared<E>, shared);
	auto *tiles = reinterpret_cast<typename E::Tiles *>(shared.bytes);
	auto *sums = reinterpret_cast<typename E::Sum(*)[OUTS + 4]>(shared.bytes);
	const int first = blockIdx.y * ROWS, rows = min(ROWS, g.rows - first);
	if (E::CODES || g.gamma) {
		prepare<E>(g, shared.rows, first, rows);
		__syncthreads();
	}
	Part<E> part;
	const bool alive = part.row < rows, wide = g.ldx % 4 == 0 && aligned16(g.x);
	Row row = {};
	if (alive && (E::CODES || g.gamma)) row = shared.rows[part.row];
	E engine;
	const int steps = (g.in + E::STEP - 1) / E::STEP;
	part.fetch(g, row, 0, alive, wide);
	for (int i = 0; i < steps; i++) {
		part.put(tiles[i % 2], row); // the other one may still be read
		__syncthreads();
		if (i + 1 < steps) part.fetch(g, row, i + 1, alive, wide);
		engine.multiply(tiles[i % 2], rows);
	}
	__syncthreads(); // the sums take the tiles' place
	engine.finish(sums);
	__syncthreads();
	write<E>(g, shared.rows, sums, first, rows);
}

#define GEMM(name, engine) \
	KERNEL(THREADS, name, const void *x, int ldx, int packed, const byte *w, const float *scale, const int *sums, const float *bias, \
			const float *res, void *y, int ldy, int stored, const float *gamma, const float *beta, float eps, \
			const float2 *ranges, int parts, float2 *left, int rows, int in, int out, int act) { \
		gemm<engine>({x, ldx, packed, w, scale, sums, bias, res, y, ldy, stored, gamma, beta, eps, ranges, parts, left, rows, \
			in, out, act}); \
	}

GEMM(gemm_f32, Scalar<float>)
#ifdef MMA
GEMM(gemm_f16, Tiled<Rounded<__half>>)
GEMM(gemm_bf16, Tiled<Rounded<__nv_bfloat16>>)
GEMM(gemm_int8, Tiled<Signed>)
#elif defined TENSOR_CORES
GEMM(gemm_f16, Tensor<__half>)
GEMM(gemm_int8, TensorCodes)
#else
GEMM(gemm_f16, Scalar<__half>)
GEMM(gemm_int8, ScalarCodes)
#endif

} // namespace gemm
