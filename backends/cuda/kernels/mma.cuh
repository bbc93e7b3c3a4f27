// Products of small matrices by a warp, from sm_80 on: all assembly that the kernels have.
// The emulator has the same functions in C++ (emulate/cxx/emulate.h), which check what is demanded
// here. All lanes of a warp must call, at one place.
#pragma once

// matrices loads four 8×8 matrices of 16 bits from shared memory: lane l gives the address of row l % 8 of
// matrix l / 8, aligned to 16 bytes, and gets elements 2·(l % 4) and the next of row l / 4 of each.
__device__ inline void matrices(unsigned (&to)[4], const void *row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
		: "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
		: "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
		: "memory");
}

// turned is matrices, each of which is turned: lane l gets elements 2·(l % 4) and the next of column l / 4.
__device__ inline void turned(unsigned (&to)[4], const void *row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
		: "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
		: "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
		: "memory");
}

// multiplied adds a·b to sums, a having 16 rows of 32 bytes, b 8 columns of as many, of type T. As 8×8 matrices
// of 16 bits a's registers are its upper and lower left, then its right ones; b's registers are its upper
// and its lower half, turned. Lane l has sums 2·(l % 4) and the next of rows l / 4 and l / 4 + 8.
template <class T, class Sum> __device__ void multiplied(Sum (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);

#define MULTIPLIED(T, Sum, letter, shape) \
	template <> __device__ inline void multiplied<T>(Sum (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { \
		asm volatile("mma.sync.aligned." shape " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
			: "+" letter(sums[0]), "+" letter(sums[1]), "+" letter(sums[2]), "+" letter(sums[3]) \
			: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1)); \
	}

MULTIPLIED(__half, float, "f", "m16n8k16.row.col.f32.f16.f16.f32")
MULTIPLIED(__nv_bfloat16, float, "f", "m16n8k16.row.col.f32.bf16.bf16.f32")
MULTIPLIED(signed char, int, "r", "m16n8k32.row.col.s32.s8.s8.s32")
