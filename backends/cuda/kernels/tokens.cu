// What is done to tokens: which are kept, which go where, and taking them, or pixels, to their place.
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

// rank takes each of n scores, with whether it is among the k highest and how many of those are at
// lower rows. Each score is compared with all: its rank is how many go before it. Of 196 scores
// that is 196 comparisons a thread; sorting them takes 36 steps with a barrier each.
template <typename Score, typename Take>
__device__ void rank(Ranking &s, int n, int k, Score score, Take take) {
	const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
	int found = 0;
	for (int from = 0; from < n; from += RANKERS) {
		const int i = from + threadIdx.x;
		const unsigned mine = i < n ? order(score(i)) : 0;
		int before = i < n ? 0 : k;
		for (int other = 0; other < n; other += RANKERS) {
			__syncthreads(); // the orders there were compared with
			if (other + static_cast<int>(threadIdx.x) < n) s.orders[threadIdx.x] = order(score(other + threadIdx.x));
			__syncthreads();
			for (int j = 0; j < min(RANKERS, n - other); j++) {
				before += s.orders[j] > mine || (s.orders[j] == mine && other + j < i);
			}
		}
		// The next scores' barriers keep s.kept from being written before it was read.
		const bool high = before < k;
		const unsigned lanes = __ballot_sync(ALL, high);
		if (lane == 0) s.kept[warp] = __popc(lanes);
		__syncthreads();
		int at = found + __popc(lanes & ((1u << lane) - 1));
		for (int w = 0; w < RANKERS / 32; w++) {
			at += w < warp ? s.kept[w] : 0;
			found += s.kept[w];
		}
		if (i < n) take(i, high, at);
	}
}

// topk: backends.TopK.
KERNEL(RANKERS, topk, int *kept, const float *score, int n, int k) {
	SHARED(Ranking, s);
	if (threadIdx.x == 0) kept[0] = 0; // CLS
	rank(s, n, k - 1, [=](int i) { return score[i]; }, [=](int i, bool high, int at) {
		if (high) kept[1 + at] = 1 + i;
	});
}

// halve writes which of the rows that are not dropped, as topk leaves them, are sources and which
// are targets: the half that is highest by order, whose rows are ld apart.
KERNEL(RANKERS, halve, int *sources, int *targets, const int *rest, int survivors, const float *order, int ld) {
	SHARED(Ranking, s);
	const auto row = [=](int i) { return rest[1 + i] - 1; };
	rank(s, survivors, survivors / 2, [=](int i) { return order[static_cast<size_t>(row(i)) * ld]; }, [=](int i, bool high, int at) {
		if (high) targets[at] = row(i);
		else sources[i - at] = row(i);
	});
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

// Best is a target and how alike it is; none at first.
struct Best {
	float alike;
	int at;

	// take keeps the most alike, of several the first, and what is no number only where nothing else was.
	__device__ void take(float v, int i) {
		if (i >= 0 && (at < 0 || v > alike || (alike != alike && v == v) || (at > i && (v == alike || (v != v && alike != alike))))) alike = v, at = i;
	}
};

struct Bests { Best of[COPIERS / 32]; };  // by each warp
struct Counts { int of[RANKERS]; };      // by each thread

// aim finds the target of each source, a block a source, and how little it costs to have it go
// there, less than 0.
KERNEL(COPIERS, aim, int *target, float *gain, const float *qkv, int ld, int heads, int width, const int *sources, const int *aims, int targets, const float *score, int logs) {
	SHARED(Bests, best);
	const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = sources[blockIdx.x];
	const float *from = qkv + static_cast<size_t>(row) * ld + heads * width;
	Best mine = {0, -1};
	for (int j = warp; j < targets; j += COPIERS / 32) {
		const float *to = qkv + static_cast<size_t>(aims[j]) * ld + heads * width;
		float product = 0, one = 0, other = 0;
		for (int i = lane; i < width; i += 32) {
			float a = 0, b = 0;
			for (int h = 0; h < heads; h++) a += from[h * width + i], b += to[h * width + i];
			product += a * b, one += a * a, other += b * b;
		}
		one = sqrtf(sum_over<32>(one)), other = sqrtf(sum_over<32>(other)), product = sum_over<32>(product);
		mine.take(one < 1e-30f || other < 1e-30f ? 0 : product / one / other, j);
	}
	if (lane == 0) best.of[warp] = mine;
	__syncthreads();
	if (threadIdx.x > 0) return;
	for (int w = 1; w < COPIERS / 32; w++) mine.take(best.of[w].alike, best.of[w].at);
	float apart = 1 - mine.alike;
	if (apart < 1e-6f) apart = 1e-6f; // two keys that are the same but for rounding
	target[blockIdx.x] = aims[mine.at];
	gain[blockIdx.x] = -apart * (logs ? expf(score[row] / 2) : sqrtf(score[row]));
}

// regroup has the sources in moves, as topk leaves them, go to their targets, and numbers what
// stays: the end of backends.Match. goes is scratch of n.
KERNEL(RANKERS, regroup, int *kept, int *groups, int *goes, const int *rest, int survivors, const int *sources, const int *target, const int *moves, int moving, int n) {
	SHARED(Counts, counts);
	for (int i = threadIdx.x; i < n; i += RANKERS) goes[i] = -1;
	__syncthreads();
	for (int i = threadIdx.x; i < survivors; i += RANKERS) goes[rest[1 + i] - 1] = rest[1 + i] - 1;
	__syncthreads();
	for (int i = threadIdx.x; i < moving; i += RANKERS) {
		const int source = moves[1 + i] - 1;
		goes[sources[source]] = target[source];
	}
	__syncthreads();
	const int each = (n + RANKERS - 1) / RANKERS, first = min(n, static_cast<int>(threadIdx.x) * each), end = min(n, first + each);
	int count = 0;
	for (int i = first; i < end; i++) count += goes[i] == i;
	counts.of[threadIdx.x] = count;
	__syncthreads();
	int at = 0;
	for (int i = 0; i < static_cast<int>(threadIdx.x); i++) at += counts.of[i];
	if (threadIdx.x == 0) kept[0] = 0;
	for (int i = first; i < end; i++) {
		if (goes[i] == i) {
			groups[i] = at++;
			kept[at] = 1 + i;
		}
	}
	__syncthreads();
	for (int i = threadIdx.x; i < n; i += RANKERS) {
		if (goes[i] != i) groups[i] = goes[i] < 0 ? -1 : groups[goes[i]];
	}
}

// merge: backends.Merge, a block a row of dst. A row alone keeps its bits. The first number out of range is left in error.
KERNEL(COPIERS, merge, float *dst, float *total, const float *x, const float *sizes, const int *groups, int n, int rows, int cols, unsigned long long *error) {
	const int mine = blockIdx.x;
	float size = 0;
	int members = 0;
	for (int i = 0; i < n; i++) {
		if (groups[i] >= rows && mine == 0 && threadIdx.x == 0) atomicCAS(error, 0ull, static_cast<unsigned long long>(static_cast<unsigned>(groups[i])) << 32 | 2);
		if (groups[i] == mine) size += sizes ? sizes[i] : 1, members++;
	}
	if (threadIdx.x == 0) total[mine] = size;
	for (int c = threadIdx.x; c < cols; c += COPIERS) {
		float sum = members ? -0.f : 0;
		for (int i = 0; i < n; i++) {
			if (groups[i] == mine) sum += (members == 1 || !sizes ? 1 : sizes[i]) * x[static_cast<size_t>(i) * cols + c];
		}
		dst[static_cast<size_t>(mine) * cols + c] = members > 1 ? sum / size : sum;
	}
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
