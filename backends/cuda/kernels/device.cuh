// What every kernel starts from: the types of operands, how they round, and sums over a
// warp. The same sources are compiled for GPUs (build.py) and, with EMULATE, for the CPU
// (emulate/), so that assembly is in mma.cuh alone, behind functions that the emulator has too. Tensor
// cores are reached through those and nvcuda::wmma.
#pragma once
#ifdef EMULATE
#include "emulate.h"
#else
#include <cuda_fp16.h>
#if __CUDA_ARCH__ >= 800
#include <cuda_bf16.h>
#include "mma.cuh"
#define TENSOR_CORES 1
#define BF16 1
#define MMA 1
#elif __CUDA_ARCH__ >= 700
#include <mma.h>
#define TENSOR_CORES 1
#endif
// KERNEL begins a kernel of blocks of at most so many threads; the emulator registers it.
#define KERNEL(threads, name, ...) extern "C" __global__ void __launch_bounds__(threads) name(__VA_ARGS__)
// SHARED declares a block's shared memory; the emulator gives each block fresh, guarded one.
#define SHARED(type, name) __shared__ type name
#endif

#define NOT_A_NUMBER __int_as_float(0x7fffffff)
#define INFINITE __int_as_float(0x7f800000)

typedef unsigned char byte;

// Constants of a namespace are enums: NVRTC would put a constexpr into the PTX as a variable, and
// what lies in a namespace without a name under names that change from run to run.
enum : unsigned { ALL = 0xffffffffu }; // lanes of a warp

// Every product is what backends.Precision defines: operands rounded, sums in float32 (exact
// in int32 for codes). rounded<T> is that rounding, as a value of T.
template <class T> __device__ T rounded(float v);

template <> __device__ inline float rounded<float>(float v) { return v; }

// A half saturates; NaN stays, since no comparison holds for it.
template <> __device__ inline __half rounded<__half>(float v) {
	v = v > 65504.f ? 65504.f : v;
	v = v < -65504.f ? -65504.f : v;
	return __float2half_rn(v);
}

__device__ inline float widened(float v) { return v; }
__device__ inline float widened(__half v) { return __half2float(v); }

#ifdef BF16
template <> __device__ inline __nv_bfloat16 rounded<__nv_bfloat16>(float v) { return __float2bfloat16_rn(v); }

__device__ inline float widened(__nv_bfloat16 v) { return __bfloat162float(v); }
#endif

// larger and smaller are NaN where either is.
__device__ inline float larger(float a, float b) { return a != a || a >= b ? a : b; }
__device__ inline float smaller(float a, float b) { return a != a || a <= b ? a : b; }

// Range is the least and the greatest of some numbers, which begins with 0 in both.
struct Range {
	float least, most;

	__device__ void take(float v) {
		least = smaller(least, v);
		most = larger(most, v);
	}
};

// Sums and ranges over groups of lanes, each lane getting the whole; all lanes of the warp
// must call.
template <int LANES> __device__ inline float sum_over(float v) {
	for (int far = LANES / 2; far > 0; far /= 2) v += __shfl_xor_sync(ALL, v, far);
	return v;
}

template <int LANES> __device__ inline float most_over(float v) {
	for (int far = LANES / 2; far > 0; far /= 2) v = fmaxf(v, __shfl_xor_sync(ALL, v, far));
	return v;
}

template <int LANES> __device__ inline Range range_over(Range r) {
	for (int far = LANES / 2; far > 0; far /= 2) {
		float least = __shfl_xor_sync(ALL, r.least, far), most = __shfl_xor_sync(ALL, r.most, far);
		r.take(least);
		r.take(most);
	}
	return r;
}

__device__ inline bool aligned16(const void *p) { return (reinterpret_cast<unsigned long long>(p) & 15) == 0; }

// LayerNorm of one number. Written in single steps, so that wherever it is computed
// it gives the same bits.
__device__ inline float normalised(float v, float mean, float inverse, float gamma, float beta) {
	return __fmaf_rn(__fmul_rn(__fsub_rn(v, mean), inverse), gamma, beta);
}

// Moments of a row, found by the 32 lanes of a warp.
struct Moments { float mean, inverse; };

__device__ inline Moments moments(const float *row, int n, float eps, int lane) {
	float sum = 0;
	for (int i = lane; i < n; i += 32) sum += row[i];
	const float mean = sum_over<32>(sum) / n;
	float squares = 0;
	for (int i = lane; i < n; i += 32) {
		const float d = row[i] - mean;
		squares += d * d;
	}
	return {mean, 1 / sqrtf(sum_over<32>(squares) / n + eps)};
}
