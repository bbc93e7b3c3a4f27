// What is done to whole rows or columns of a matrix: LayerNorm where no product follows that
// takes it in, the predictor's mean, the largest of each column.
#include "device.cuh"

namespace rows {

enum : int { BY_WARP = 128 }; // threads of a kernel that gives each row a warp

// Columns: a block of 256 threads has 32 columns, and every eighth row in each of 8 lines.
enum : int { COLUMNS = 32, LINES = 8 };

struct Partial { float of[LINES][COLUMNS]; };

// layernorm: backends.LayerNorm. y may be x.
KERNEL(BY_WARP, layernorm, const float *x, const float *gamma, const float *beta, float *y, float eps, int rows, int cols) {
	const int row = blockIdx.x * (BY_WARP / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
	if (row >= rows) return;
	const float *from = x + static_cast<size_t>(row) * cols;
	float *to = y + static_cast<size_t>(row) * cols;
	const Moments m = moments(from, cols, eps, lane);
	for (int i = lane; i < cols; i += 32) to[i] = normalised(from[i], m.mean, m.inverse, gamma[i], beta[i]);
}

// mean_half: backends.MeanHalf. A block owns its columns, from the first of the second half on.
KERNEL(COLUMNS * LINES, mean_half, float *x, int rows, int cols) {
	SHARED(Partial, sums);
	const int column = threadIdx.x % COLUMNS, line = threadIdx.x / COLUMNS;
	const int col = cols / 2 + blockIdx.x * COLUMNS + column;
	float sum = 0;
	for (int i = line; i < rows && col < cols; i += LINES) sum += x[static_cast<size_t>(i) * cols + col];
	sums.of[line][column] = sum;
	__syncthreads();
	sum = 0;
	for (int i = 0; i < LINES; i++) sum += sums.of[i][column];
	const float mean = sum / rows;
	for (int i = line; i < rows && col < cols; i += LINES) x[static_cast<size_t>(i) * cols + col] = mean;
}

// max_rows: backends.MaxRows, of at least one row. NaN wins.
KERNEL(COLUMNS * LINES, max_rows, float *dst, const float *x, int rows, int cols) {
	SHARED(Partial, most);
	const int column = threadIdx.x % COLUMNS, line = threadIdx.x / COLUMNS;
	const int col = blockIdx.x * COLUMNS + column;
	float best = -INFINITE;
	for (int i = line; i < rows && col < cols; i += LINES) best = larger(best, x[static_cast<size_t>(i) * cols + col]);
	most.of[line][column] = best;
	__syncthreads();
	if (line > 0 || col >= cols) return;
	for (int i = 1; i < LINES; i++) best = larger(best, most.of[i][column]);
	dst[col] = best;
}

} // namespace rows
