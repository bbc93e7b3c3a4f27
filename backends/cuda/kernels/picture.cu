// A frame as the camera's driver left it, to a model's input: package preprocess, to the bit.
// Pillow resizes along one axis, rounds to bytes, then along the other (which comes first
// depends on the sizes); each pass is a kernel. The first converts a frame's colours as it
// reads, the second normalises by table and writes patches.
#include "device.cuh"

namespace picture {

enum : int { THREADS = 128 };

enum : int { YUYV = 3, NV12 = 4, I420 = 5, RGB24 = 6, GREY = 7 }; // camera.Format

struct Colour { int r, g, b; };

__device__ inline int clamped(int v) { return max(0, min(255, v)); }

// studio is preprocess.studio: BT.601, limited range.
__device__ inline Colour studio(int y, int u, int v) {
	const int luma = 76309 * (y - 16) + (1 << 15);
	u -= 128, v -= 128;
	return {clamped((luma + 104597 * v) >> 16), clamped((luma - 25675 * u - 53279 * v) >> 16), clamped((luma + 132201 * u) >> 16)};
}

struct Frame {
	const byte *data;
	int format, width, height;

	__device__ Colour at(int x, int y) const {
		// A frame has at most 8192² pixels (camera.MaxSide), and 3 bytes each.
		const int half = (width + 1) / 2, chroma = width * height, pixel = y * width + x;
		switch (format) {
		case YUYV: {
			const byte *pair = data + 4 * (half * y + x / 2);
			return studio(pair[2 * (x % 2)], pair[1], pair[3]);
		}
		case NV12: {
			const byte *uv = data + chroma + 2 * (half * (y / 2) + x / 2);
			return studio(data[pixel], uv[0], uv[1]);
		}
		case I420: {
			const byte *u = data + chroma + half * (y / 2) + x / 2;
			return studio(data[pixel], u[0], u[half * ((height + 1) / 2)]);
		}
		case GREY: return {data[pixel], data[pixel], data[pixel]};
		}
		return {data[3 * pixel], data[3 * pixel + 1], data[3 * pixel + 2]};
	}
};

// Tap is preprocess's: an output pixel is made of count pixels from first on, with as many weights.
struct Tap { int first, count, weights; };

// Sum adds up weighted colours in fixed point with 22 fractional bits.
struct Sum {
	int r = 1 << 21, g = 1 << 21, b = 1 << 21;

	__device__ void add(Colour c, int weight) { r += c.r * weight, g += c.g * weight, b += c.b * weight; }

	__device__ Colour level() const { return {clamped(r >> 22), clamped(g >> 22), clamped(b >> 22)}; }
};

// resize_first resizes a window of the frame along one axis (down: along y), a line a
// row of blocks, n pixels a line.
KERNEL(THREADS, resize_first, byte *scratch, const byte *frame, int format, int width, int height, int x0, int y0, const Tap *taps,
		const int *weights, int down, int n) {
	const int i = blockIdx.x * THREADS + threadIdx.x, line = blockIdx.y;
	if (i >= n) return;
	const Frame f = {frame, format, width, height};
	const Tap tap = taps[down ? line : i];
	Sum sum;
	for (int j = 0; j < tap.count; j++) {
		const int along = tap.first + j;
		sum.add(down ? f.at(x0 + i, y0 + along) : f.at(x0 + along, y0 + line), weights[tap.weights + j]);
	}
	const Colour c = sum.level();
	byte *to = scratch + 3 * (line * n + i);
	to[0] = c.r, to[1] = c.g, to[2] = c.b;
}

// resize_second resizes what the first left, rows of columns pixels, along the other axis, and
// writes the numbers of pixel (x, y) of the model's input; what lies beside the picture
// is black. patch is a patch's side, 0 for pixels, channels last.
KERNEL(THREADS, resize_second, float *input, const byte *scratch, int columns, const Tap *taps, const int *weights, int down, int size,
		int pad_x, int pad_y, int out_x, int out_y, int patch, const float *table) {
	const int x = blockIdx.x * THREADS + threadIdx.x, y = blockIdx.y;
	if (x >= size) return;
	const int px = x - pad_x, py = y - pad_y;
	Colour c = {0, 0, 0};
	if (px >= 0 && px < out_x && py >= 0 && py < out_y) {
		const Tap tap = taps[down ? py : px];
		Sum sum;
		for (int j = 0; j < tap.count; j++) {
			const int along = tap.first + j;
			const byte *p = scratch + 3 * (down ? along * columns + px : py * columns + along);
			sum.add({p[0], p[1], p[2]}, weights[tap.weights + j]);
		}
		c = sum.level();
	}
	float *to = input;
	int between = 1; // channels
	if (patch == 0) {
		to += 3 * (y * size + x);
	} else {
		between = patch * patch;
		to += 3 * between * (y / patch * (size / patch) + x / patch) + y % patch * patch + x % patch;
	}
	to[0] = table[c.r], to[between] = table[256 + c.g], to[2 * between] = table[512 + c.b];
}

} // namespace picture
