// Enough of CUDA C++ to compile the kernels for the CPU: one fiber a thread, all on one
// thread of the system, switched where threads wait for each other. Nothing here orders memory
// but what orders it on a GPU, so that ThreadSanitizer sees a missing barrier, in a
// block and between blocks. Who waits for whom is in runtime.cpp, which is compiled without
// sanitizers; what touches the kernels' memory is here.
//
// TARGET is what __CUDA_ARCH__ would be, divided by 10: 53, 72 or 80.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if TARGET >= 70
#define TENSOR_CORES 1
#endif
#if TARGET >= 80
#define BF16 1
#define MMA 1
#endif

struct uint3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }

namespace emulate {

struct Thread {
	uint3 index;
	unsigned lane, warp;
};

extern Thread *current;
extern uint3 grid, block, block_index;
extern int planted;

[[noreturn]] void fail(const char *format, ...);
void barrier(int line);
void *shared(const void *declaration, size_t bytes);

// Meeting is a warp's lanes at one place: what each brought, and what each takes away.
struct Meeting {
	unsigned mask;
	alignas(16) unsigned char in[32][64], out[32][64];
};
typedef void Combine(Meeting &);

// meet waits for all lanes of the mask; the last to come calls combine. It orders no memory.
void meet(unsigned mask, const char *what, int line, const void *in, size_t in_bytes, void *out, size_t out_bytes, Combine *);

// What lanes do when they meet. Only runtime.cpp reads what other lanes brought.
struct Exchanged { float value; int from; };
Combine shuffle, ballot;
template <class T, class Sum> void product(Meeting &); // of matrices, 8 elements of either from each lane
template <class T, class Sum> void tile(Meeting &);    // of matrices, 4 registers of one and 2 of the other from each lane
Combine rows, columns;                                 // of four matrices, an address from each lane

// within fails where bytes are not all of one declaration's shared memory.
void within(const void *p, size_t bytes, const char *what, int line);

// Kernels register themselves.
struct Kernel {
	const char *name;
	unsigned threads; // at most, of a block
	void (*call)(void **);
	int count;
	const unsigned short *sizes;
	Kernel *next;
};
void add(Kernel *);

template <auto Function> struct Registered;
template <class... A, void (*Function)(A...)> struct Registered<Function> {
	static constexpr unsigned short sizes[] = {sizeof(A)..., 0};
	Kernel kernel;

	template <size_t... I> static void spread(void **args, std::index_sequence<I...>) { Function(value<A>(args[I])...); }
	template <class T> static T value(const void *from) {
		T v;
		memcpy(&v, from, sizeof v);
		return v;
	}
	static void call(void **args) { spread(args, std::index_sequence_for<A...>{}); }

	Registered(const char *name, unsigned threads) : kernel{name, threads, call, sizeof...(A), sizes, nullptr} { add(&kernel); }
};

} // namespace emulate

#define __device__
#define KERNEL(threads, name, ...) \
	extern "C" void name(__VA_ARGS__); \
	static emulate::Registered<&name> registered_##name(#name, threads); \
	extern "C" void name(__VA_ARGS__)
#define SHARED(type, name) \
	static char declared_##name; \
	type &name = *static_cast<type *>(emulate::shared(&declared_##name, sizeof(type)))

#define threadIdx (emulate::current->index)
#define blockIdx emulate::block_index
#define blockDim emulate::block
#define gridDim emulate::grid

static inline void __syncthreads(int line = __builtin_LINE()) { emulate::barrier(line); }

static inline float __shfl_xor_sync(unsigned mask, float v, int far, int line = __builtin_LINE()) {
	const emulate::Exchanged in = {v, static_cast<int>(emulate::current->lane) ^ far};
	float out;
	emulate::meet(mask, "shuffle", line, &in, sizeof in, &out, sizeof out, emulate::shuffle);
	return out;
}

static inline unsigned __ballot_sync(unsigned mask, bool vote, int line = __builtin_LINE()) {
	unsigned out;
	emulate::meet(mask, "ballot", line, &vote, sizeof vote, &out, sizeof out, emulate::ballot);
	return out;
}

static inline unsigned long long atomicCAS(unsigned long long *p, unsigned long long expected, unsigned long long v) {
	__atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return expected;
}

template <class To, class From> static inline To bits(From v) {
	To to;
	static_assert(sizeof to == sizeof v);
	memcpy(&to, &v, sizeof to);
	return to;
}
static inline unsigned __float_as_uint(float v) { return bits<unsigned>(v); }
static inline float __int_as_float(int v) { return bits<float>(v); }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
static inline float __fmul_rn(float x, float y) { return x * y; }
static inline float __fsub_rn(float x, float y) { return x - y; }
static inline float __fdiv_rn(float x, float y) { return x / y; }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }

// Halves and bfloat16s round to nearest, ties to even, and overflow to infinity.
namespace emulate {
extern const float *half_values; // of all 65,536
uint16_t half_of(float);
uint16_t bfloat16_of(float);
} // namespace emulate

struct __half { uint16_t bits; };
static inline __half __float2half_rn(float v) { return {emulate::half_of(v)}; }
static inline float __half2float(__half v) { return emulate::half_values[v.bits]; }

struct __nv_bfloat16 { uint16_t bits; };
static inline __nv_bfloat16 __float2bfloat16_rn(float v) { return {emulate::bfloat16_of(v)}; }
static inline float __bfloat162float(__nv_bfloat16 v) { return bits<float>(static_cast<unsigned>(v.bits) << 16); }

// nvcuda::wmma. Which lane holds which element is not said by CUDA: here, element i of lane l is
// number 32·i + l of the matrix, row by row.
namespace nvcuda {
namespace wmma {

struct row_major {};
struct col_major {};
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
enum layout_t { mem_row_major };

template <class Use, int M, int N, int K, class T, class Layout = void> struct fragment {
	static_assert(M == 16 && N == 16 && K == 16);
	T x[8];
};

template <class Fragment, class T> static inline void fill_fragment(Fragment &f, T v) {
	for (auto &e : f.x) e = v;
}

// whole checks what CUDA asks of a matrix in memory: 32 bytes aligned, rows a multiple of 16 apart.
template <class T> static inline void whole(const T *p, unsigned ld) {
	if (reinterpret_cast<uintptr_t>(p) % 32 || ld * sizeof(T) % 16) emulate::fail("wmma: matrix at %p, rows %u elements apart", static_cast<const void *>(p), ld);
}

void together(const char *what, int line);

template <class Use, class T, class Layout>
static inline void load_matrix_sync(fragment<Use, 16, 16, 16, T, Layout> &f, const T *p, unsigned ld, int line = __builtin_LINE()) {
	whole(p, ld);
	together("wmma load", line);
	for (int e = 0; e < 8; e++) {
		const int i = 32 * e + emulate::current->lane, r = i / 16, c = i % 16;
		f.x[e] = std::is_same_v<Layout, col_major> ? p[c * ld + r] : p[r * ld + c];
	}
}

template <class T>
static inline void store_matrix_sync(T *p, const fragment<accumulator, 16, 16, 16, T> &f, unsigned ld, layout_t, int line = __builtin_LINE()) {
	whole(p, ld);
	together("wmma store", line);
	for (int e = 0; e < 8; e++) {
		const int i = 32 * e + emulate::current->lane;
		p[i / 16 * ld + i % 16] = f.x[e];
	}
}

template <class T, class A, class B, class Sum>
static inline void mma_sync(fragment<accumulator, 16, 16, 16, Sum> &d, const fragment<matrix_a, 16, 16, 16, T, A> &a,
	const fragment<matrix_b, 16, 16, 16, T, B> &b, const fragment<accumulator, 16, 16, 16, Sum> &c, int line = __builtin_LINE()) {
	T in[16];
	for (int i = 0; i < 8; i++) in[i] = a.x[i], in[8 + i] = b.x[i];
	Sum out[8];
	emulate::meet(0xffffffffu, "wmma product", line, in, sizeof in, out, sizeof out, emulate::product<T, Sum>);
	for (int i = 0; i < 8; i++) d.x[i] = c.x[i] + out[i];
}

} // namespace wmma
} // namespace nvcuda

// mma.cuh's functions. What a lane is given of rows it reads itself, when all have told their addresses.
namespace emulate {
template <int N> static inline void addresses(const uint16_t *(&to)[N], const void *row, const char *what, int line, Combine *combine) {
	if (reinterpret_cast<uintptr_t>(row) % 16) fail("line %d: %s: a row at %p, not aligned to 16 bytes", line, what, row);
	within(row, 16, what, line);
	meet(0xffffffffu, what, line, &row, sizeof row, to, sizeof to, combine);
}
} // namespace emulate

static inline void matrices(unsigned (&to)[4], const void *row, int line = __builtin_LINE()) {
	const uint16_t *from[4];
	emulate::addresses(from, row, "matrices", line, emulate::rows);
	for (int i = 0; i < 4; i++) memcpy(&to[i], from[i] + emulate::current->lane % 4 * 2, sizeof to[i]);
}

static inline void turned(unsigned (&to)[4], const void *row, int line = __builtin_LINE()) {
	const uint16_t *from[8];
	emulate::addresses(from, row, "matrices turned", line, emulate::columns);
	const unsigned column = emulate::current->lane / 4;
	for (int i = 0; i < 4; i++) to[i] = from[2 * i][column] | static_cast<unsigned>(from[2 * i + 1][column]) << 16;
}

template <class T, class Sum>
static inline void multiplied(Sum (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, int line = __builtin_LINE()) {
	const unsigned in[6] = {a[0], a[1], a[2], a[3], b0, b1};
	Sum out[4];
	emulate::meet(0xffffffffu, "product", line, in, sizeof in, out, sizeof out, emulate::tile<T, Sum>);
	for (int i = 0; i < 4; i++) sums[i] += out[i];
}
