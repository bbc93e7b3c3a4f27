// What is done to tokens: which are kept, and taking them, or pixels, to their place.
#include "device.cuh"

namespace tokens {

enum : int { RANKERS = 256, COPIERS = 128 };

// order is a number that compares as its score does: NaN below all, zeros alike.
__device__ inline unsigned order(float score) {
	if (score != score) return 0;
	const unsigned bits = __float_as_uint(score + 0.f); // -0 becomes 0
	return bits >> 31 ? ~bits : bits | 0x80000000u;
}

struct Ranking {
	unsigned orders[RANKERS];
	int kept[RANKERS / 32]; // by each warp
};

// topk: backends.TopK. Each score is compared with all: its rank is how many go before
// it. Of 196 scores that is 196 comparisons a thread; sorting them takes 36 steps with a barrier
// each.
KERNEL(RANKERS, topk, int *kept, const float *score, int n, int k) {
	SHARED(Ranking, s);
	const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
	int found = 1; // CLS
	if (threadIdx.x == 0) kept[0] = 0;
	for (int from = 0; from < n; from += RANKERS) {
		const int i = from + threadIdx.x;
		const unsigned mine = i < n ? order(score[i]) : 0;
		int before = i < n ? 0 : k;
		for (int other = 0; other < n; other += RANKERS) {
			__syncthreads(); // the orders there were compared with
			if (other + static_cast<int>(threadIdx.x) < n) s.orders[threadIdx.x] = order(score[other + threadIdx.x]);
			__syncthreads();
			for (int j = 0; j < min(RANKERS, n - other); j++) {
				before += s.orders[j] > mine || (s.orders[j] == mine && other + j < i);
			}
		}
		// The next scores' barriers keep s.kept from being written before it was read.
		const bool keep = before < k - 1;
		const unsigned lanes = __ballot_sync(ALL, keep);
		if (lane == 0) s.kept[warp] = __popc(lanes);
		__syncthreads();
		int at = found + __popc(lanes & ((1u << lane) - 1));
		for (int w = 0; w < RANKERS / 32; w++) {
			at += w < warp ? s.kept[w] : 0;
			found += s.kept[w];
		}
		if (keep) kept[at] = 1 + i;
	}
}

// gather: backends.Gather, a block a row. The first row number out of range is left in error.
KERNEL(COPIERS, gather, float *dst, const float *x, const int *kept, int rows, int cols, unsigned long long *error) {
	const int from = kept[blockIdx.x];
	if (from < 0 || from >= rows) {
		if (threadIdx.x == 0) atomicCAS(error, 0ull, static_cast<unsigned long long>(static_cast<unsigned>(from)) << 32 | 1);
		return;
	}
	const float *row = x + static_cast<size_t>(from) * cols;
	float *to = dst + static_cast<size_t>(blockIdx.x) * cols;
	for (int i = threadIdx.x; i < cols; i += COPIERS) to[i] = row[i];
}

// unfold: backends.Unfold, a block an output pixel.
KERNEL(COPIERS, unfold, float *dst, const float *src, int channels, int height, int width, int kernel, int stride, int pad, int out_width, int from) {
	const int pixel = from + blockIdx.x, n = kernel * kernel * channels;
	const int top = pixel / out_width * stride - pad, left = pixel % out_width * stride - pad;
	for (int i = threadIdx.x; i < n; i += COPIERS) {
		const int at = i / channels, y = top + at / kernel, x = left + at % kernel;
		const bool inside = y >= 0 && y < height && x >= 0 && x < width;
		dst[static_cast<size_t>(blockIdx.x) * n + i] = inside ? src[(static_cast<size_t>(y) * width + x) * channels + i % channels] : 0;
	}
}

} // namespace tokens
