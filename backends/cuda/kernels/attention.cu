// Multi-head self-attention of up to 16 queries of one head, in one kernel: backends.Attention.
//
// Probabilities are rounded against the row's true maximum, as backends/ref does it, so the
// keys are gone through twice: once for each row's maximum and sum, then for the
// mix. Up to HELD keys the products stay in shared memory in between, else they are taken again.
// Shared memory does not grow with the tokens, nor with the width of a head, whose columns
// go through in chunks of 64; blocks of z > 0 mix the columns behind the first 64.
#include "device.cuh"

namespace attention {

enum : int { QUERIES = 16, WIDE = 64, HELD = 256, THREADS = 128 };
enum : int { BY_ROW = THREADS / QUERIES }; // threads that share a row

enum : int { NO_SCORE, CLS, RECEIVED }; // backends.Score

struct Attention {
	const void *qkv;
	int ld, packed;
	float *dst, *shares;
	int by;
	float2 *left;
	int tokens, queries, heads, width;
	float scale;
	const float *sizes; // what each token stands for, or none: one each
};

// Engines own the operands' type and take the two products of a tile of KEYS keys.

// Scalar keeps operands as floats. A thread has 2 rows, and every 16th key or column.
template <class W> struct Scalar {
	typedef W Type;      // what operands are rounded to
	typedef float Place; // what holds them
	static constexpr int KEYS = 32, LD = WIDE + 1, SHARES = KEYS + 1;

	__device__ static Place operand(float v) { return widened(rounded<W>(v)); }

	int row = threadIdx.x / 16 * 2, lane = threadIdx.x % 16;
	float products[2][KEYS / 16], mixed[2][WIDE / 16] = {};

	__device__ void clear() {
		for (int i = 0; i < 2; i++)
			for (int j = 0; j < KEYS / 16; j++) products[i][j] = 0;
	}

	__device__ void compare(const Place (*q)[LD], const Place (*k)[LD]) {
		for (int c = 0; c < WIDE; c++)
#pragma unroll
			for (int i = 0; i < 2; i++)
#pragma unroll
				for (int j = 0; j < KEYS / 16; j++) {
					products[i][j] = __fmaf_rn(q[row + i][c], k[lane + 16 * j][c], products[i][j]);
				}
	}

	template <class Line> __device__ void keep(Line *to, int from) {
#pragma unroll
		for (int i = 0; i < 2; i++)
#pragma unroll
			for (int j = 0; j < KEYS / 16; j++) to[row + i][from + lane + 16 * j] = products[i][j];
	}

	__device__ void mix(const Place (*p)[SHARES], const Place (*v)[LD]) {
		for (int k = 0; k < KEYS; k++)
#pragma unroll
			for (int i = 0; i < 2; i++)
#pragma unroll
				for (int j = 0; j < WIDE / 16; j++) mixed[i][j] = __fmaf_rn(p[row + i][k], v[k][lane + 16 * j], mixed[i][j]);
	}

	template <class Line> __device__ void finish(Line *to) {
#pragma unroll
		for (int i = 0; i < 2; i++)
#pragma unroll
			for (int j = 0; j < WIDE / 16; j++) to[row + i][lane + 16 * j] = mixed[i][j];
	}
};

#ifdef MMA
// Tiled multiplies by mma.sync: a warp has 16 keys, then 16 columns. Rows are 144 bytes apart, so that 8 of
// them lie in different banks.
template <class T> struct Tiled {
	typedef T Type;
	typedef T Place;
	static constexpr int KEYS = 64, LD = WIDE + 8, SHARES = KEYS + 8;

	__device__ static T operand(float v) { return rounded<T>(v); }

	int lane = threadIdx.x % 32, first = threadIdx.x / 32 * 16;
	float products[2][4], mixed[2][4] = {}; // of eight keys or columns each

	__device__ void clear() {
		for (int i = 0; i < 2; i++)
			for (int j = 0; j < 4; j++) products[i][j] = 0;
	}

	__device__ void compare(const T (*q)[LD], const T (*k)[LD]) {
		unsigned a[4], b[4];
#pragma unroll
		for (int c = 0; c < WIDE; c += 16) {
			matrices(a, &q[lane % 16][c + lane / 16 * 8]);
			matrices(b, &k[first + lane / 16 * 8 + lane % 8][c + lane / 8 % 2 * 8]);
			multiplied<T>(products[0], a, b[0], b[1]);
			multiplied<T>(products[1], a, b[2], b[3]);
		}
	}

	template <class Line> __device__ void keep(Line *to, int from) { store(to, from, products); }

	__device__ void mix(const T (*p)[SHARES], const T (*v)[LD]) {
		unsigned a[4], b[4];
#pragma unroll
		for (int k = 0; k < KEYS; k += 16) {
			matrices(a, &p[lane % 16][k + lane / 16 * 8]);
			turned(b, &v[k + lane % 16][first + lane / 16 * 8]);
			multiplied<T>(mixed[0], a, b[0], b[1]);
			multiplied<T>(mixed[1], a, b[2], b[3]);
		}
	}

	template <class Line> __device__ void finish(Line *to) { store(to, 0, mixed); }

	template <class Line> __device__ void store(Line *to, int from, const float (&sums)[2][4]) {
#pragma unroll
		for (int i = 0; i < 2; i++)
#pragma unroll
			for (int j = 0; j < 4; j++) to[lane / 4 + j / 2 * 8][from + first + 8 * i + lane % 4 * 2 + j % 2] = sums[i][j];
	}
};
#elif defined TENSOR_CORES
using namespace nvcuda;

// Tensor uses tensor cores by wmma: a warp has 16 keys, then 16 columns.
template <class T> struct Tensor {
	typedef T Type;
	typedef T Place;
	static constexpr int KEYS = 64, LD = WIDE + 8, SHARES = KEYS + 8;

	__device__ static T operand(float v) { return rounded<T>(v); }

	int first = threadIdx.x / 32 * 16;
	wmma::fragment<wmma::accumulator, 16, 16, 16, float> products, mixed;

	__device__ Tensor() { wmma::fill_fragment(mixed, 0.f); }

	__device__ void clear() { wmma::fill_fragment(products, 0.f); }

	__device__ void compare(const T (*q)[LD], const T (*k)[LD]) {
#pragma unroll
		for (int c = 0; c < WIDE; c += 16) {
			wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major> a;
			wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::col_major> b;
			wmma::load_matrix_sync(a, &q[0][c], LD);
			wmma::load_matrix_sync(b, &k[first][c], LD);
			wmma::mma_sync(products, a, b, products);
		}
	}

	template <class Line> __device__ void keep(Line *to, int from) {
		wmma::store_matrix_sync(&to[0][from + first], products, sizeof(Line) / sizeof(float), wmma::mem_row_major);
	}

	__device__ void mix(const T (*p)[SHARES], const T (*v)[LD]) {
#pragma unroll
		for (int k = 0; k < KEYS; k += 16) {
			wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major> a;
			wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::row_major> b;
			wmma::load_matrix_sync(a, &p[0][k], SHARES);
			wmma::load_matrix_sync(b, &v[k][first], LD);
			wmma::mma_sync(mixed, a, b, mixed);
		}
	}

	template <class Line> __device__ void finish(Line *to) {
		wmma::store_matrix_sync(&to[0][first], mixed, sizeof(Line) / sizeof(float), wmma::mem_row_major);
	}
};
#endif

typedef float Line[HELD + 8];

template <class E> struct alignas(32) Shared {
	typename E::Place queries[QUERIES][E::LD], tile[E::KEYS][E::LD], shares[QUERIES][E::SHARES];
	alignas(32) Line products[QUERIES]; // not yet scaled; at last the mix
	float most[QUERIES], total[QUERIES];
};

// load writes rows × 64 columns of qkv from a row and a column on, as operands. What lies
// behind the last row (end) or the last column of the head (columns of them left) is 0.
template <class E> __device__ void load(typename E::Place (*to)[E::LD], int rows, const Attention &a, int row, int end, int column, int columns) {
	typedef typename E::Type T;
	for (int i = threadIdx.x; i < rows * (WIDE / 4); i += THREADS) {
		const int r = i / (WIDE / 4), c = i % (WIDE / 4) * 4;
		float v[4] = {};
		if (row + r < end && c < columns) {
			const size_t at = static_cast<size_t>(row + r) * a.ld + column + c;
			const float *from = static_cast<const float *>(a.qkv) + at;
			if (a.packed) {
#pragma unroll
				for (int j = 0; j < 4; j++) {
					if (c + j < columns) v[j] = widened(static_cast<const T *>(a.qkv)[at + j]);
				}
			} else if (c + 4 <= columns && aligned16(from)) {
				const float4 four = *reinterpret_cast<const float4 *>(from);
				v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
			} else {
#pragma unroll
				for (int j = 0; j < 4; j++) {
					if (c + j < columns) v[j] = from[j];
				}
			}
		}
#pragma unroll
		for (int j = 0; j < 4; j++) to[r][c + j] = E::operand(v[j]);
	}
}

// Block is one block's work.
template <class E> struct Block {
	const Attention &a;
	Shared<E> &s;
	E engine;
	int first = blockIdx.x * QUERIES; // query
	int head = blockIdx.y * a.width;  // its first column, among those of q, k or v
	int row = threadIdx.x / BY_ROW, lane = threadIdx.x % BY_ROW;

	__device__ Block(const Attention &a, Shared<E> &s) : a(a), s(s) {}

	__device__ int column(int part) const { return part * a.heads * a.width + head; } // of q (0), k (1), v (2)

	// compare leaves the products of all queries with the keys from key on in columns from at on.
	__device__ void compare(int key, int at) {
		engine.clear();
		for (int c = 0; c < a.width; c += WIDE) {
			__syncthreads(); // what the tiles held is not needed any more
			if (key == 0 || a.width > WIDE) load<E>(s.queries, QUERIES, a, first, a.queries, column(0) + c, a.width - c);
			load<E>(s.tile, E::KEYS, a, key, a.tokens, column(1) + c, a.width - c);
			__syncthreads();
			engine.compare(s.queries, s.tile);
		}
		engine.keep(s.products, at);
		__syncthreads();
		if (a.sizes) weigh(key, at);
	}

	// weigh adds what is to be, once it is scaled, the logarithm of each key's size. A thread reads
	// what it has written here; others need a barrier.
	__device__ void weigh(int key, int at) {
		for (int i = lane; i < E::KEYS && key + i < a.tokens; i += BY_ROW) s.products[row][at + i] += logf(a.sizes[key + i]) / a.scale;
	}

	__device__ bool held() const { return a.tokens <= HELD; }

	__device__ int place(int key) const { return held() ? key : 0; } // of a tile's products

	// measure finds each row's greatest product, scaled, and the sum of exponentials.
	__device__ void measure() {
		float most = -INFINITE, total = 0;
		for (int key = 0; key < a.tokens; key += E::KEYS) {
			compare(key, place(key));
			const int n = min(E::KEYS, a.tokens - key);
			float here = most;
			for (int i = lane; i < n; i += BY_ROW) here = fmaxf(here, a.scale * s.products[row][place(key) + i]);
			here = most_over<BY_ROW>(here);
			float sum = 0;
			for (int i = lane; i < n; i += BY_ROW) sum += expf(a.scale * s.products[row][place(key) + i] - here);
			total = total * expf(most - here) + sum_over<BY_ROW>(sum);
			most = here;
		}
		if (lane == 0) s.most[row] = most, s.total[row] = total;
		__syncthreads();
	}

	// mix adds up values by their shares.
	__device__ void mix() {
		const int c = blockIdx.z * WIDE;
		for (int key = 0; key < a.tokens; key += E::KEYS) {
			if (!held()) {
				compare(key, 0);
				if (a.sizes) __syncthreads();
			}
			for (int i = lane; i < E::KEYS; i += BY_ROW) {
				const float share = key + i < a.tokens ? expf(a.scale * s.products[row][place(key) + i] - s.most[row]) : 0;
				s.shares[row][i] = E::operand(share);
			}
			if (a.shares && c == 0) score(key);
			load<E>(s.tile, E::KEYS, a, key, a.tokens, column(2) + c, a.width - c);
			__syncthreads();
			engine.mix(s.shares, s.tile);
			__syncthreads();
		}
	}

	// score leaves what each of a tile's keys gets of all the queries, or of CLS.
	__device__ void score(int key) {
		const int j = threadIdx.x, strips = a.by == CLS ? 1 : gridDim.x;
		if (j >= E::KEYS || key + j >= a.tokens || static_cast<int>(blockIdx.x) >= strips) return;
		const int rows = a.by == CLS ? 1 : min(QUERIES, a.queries - first);
		float sum = 0;
		for (int i = 0; i < rows; i++) sum += expf(a.scale * s.products[i][place(key) + j] - s.most[i]) / s.total[i];
		a.shares[(static_cast<size_t>(blockIdx.y) * strips + blockIdx.x) * a.tokens + key + j] = sum;
	}

	__device__ void write() {
		engine.finish(s.products);
		__syncthreads();
		Range range = {0, 0};
		const int query = first + row, from = blockIdx.z * WIDE;
		for (int c = lane; c < min(WIDE, a.width - from) && query < a.queries; c += BY_ROW) {
			const float v = s.products[row][c] / s.total[row];
			a.dst[static_cast<size_t>(query) * a.heads * a.width + head + from + c] = v;
			range.take(v);
		}
		if (a.left == nullptr) return;
		range = range_over<BY_ROW>(range);
		if (lane == 0 && query < a.queries) {
			a.left[(static_cast<size_t>(query) * a.heads + blockIdx.y) * gridDim.z + blockIdx.z] = make_float2(range.least, range.most);
		}
	}
};

template <class E> __device__ void attention(const Attention &a) {
	SHARED(Shared<E>, shared);
	Block<E> block(a, shared);
	block.measure();
	block.mix();
	block.write();
}

#define ATTENTION(name, engine) \
	KERNEL(THREADS, name, const void *qkv, int ld, int packed, float *dst, float *shares, int by, float2 *left, int tokens, int queries, \
			int heads, int width, float scale, const float *sizes) { \
		attention<engine>({qkv, ld, packed, dst, shares, by, left, tokens, queries, heads, width, scale, sizes}); \
	}

ATTENTION(attention_f32, Scalar<float>)
#ifdef MMA
ATTENTION(attention_f16, Tiled<__half>)
ATTENTION(attention_bf16, Tiled<__nv_bfloat16>)
#elif defined TENSOR_CORES
ATTENTION(attention_f16, Tensor<__half>)
#else
ATTENTION(attention_f16, Scalar<__half>)
#endif

// attention_scores adds up what a token got in each head and strip, a warp a token from
// skip on, and under RECEIVED weighs it by the length of the token's value.
KERNEL(THREADS, attention_scores, const float *shares, int strips, const float *qkv, int ld, float *score, int by, int tokens, int heads, int width, int skip) {
	const int token = skip + blockIdx.x * (THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
	if (token >= tokens) return;
	float sum = 0;
	for (int h = 0; h < heads; h++) {
		float share = 0;
		for (int i = lane; i < strips; i += 32) share += shares[(static_cast<size_t>(h) * strips + i) * tokens + token];
		share = sum_over<32>(share);
		if (by == RECEIVED) {
			const float *v = qkv + static_cast<size_t>(token) * ld + (2 * heads + h) * width;
			float squares = 0;
			for (int i = lane; i < width; i += 32) squares += v[i] * v[i];
			share *= sqrtf(sum_over<32>(squares)) / tokens;
		}
		sum += share / heads;
	}
	if (lane == 0) score[token - skip] = sum;
}

} // namespace attention
