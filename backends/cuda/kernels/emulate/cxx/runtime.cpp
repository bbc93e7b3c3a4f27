// Runs a kernel's blocks one after the other, and a block's threads as fibers that take
// turns: a fiber runs until it waits for others. Compiled without sanitizers; with
// EMULATE_ASAN or EMULATE_TSAN it tells them about fibers and guards.
//
// Blocks share no order: ThreadSanitizer takes fibers for threads, and hears of none between
// those of two blocks, so that two that write the same memory race although here one
// runs after the other.
#include "emulate.h"
#include "api.h"
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#ifdef EMULATE_TSAN
extern "C" {
void *__tsan_create_fiber(unsigned);
void __tsan_switch_to_fiber(void *, unsigned);
void *__tsan_get_current_fiber();
void __tsan_acquire(void *);
void __tsan_release(void *);
}
#endif
#ifdef EMULATE_ASAN
extern "C" {
void __sanitizer_start_switch_fiber(void **, const void *, size_t);
void __sanitizer_finish_switch_fiber(void *, const void **, size_t *);
void __asan_poison_memory_region(const volatile void *, size_t);
void __asan_unpoison_memory_region(const volatile void *, size_t);
}
#endif

namespace emulate {

Thread *current;
uint3 grid, block, block_index;
int planted;
const float *half_values;

namespace {

constexpr size_t STACK = 64 << 10, ARENA = 64 << 10, MOST_SHARED = 48 << 10;

enum State { READY, WAITING, DONE };

struct Fiber : Thread {
	void *stack_pointer;
	char *stack;
	State state;
	const volatile unsigned *watched; // waits until this is not seen any more
	unsigned seen;
	const char *what;
	int line;
	void *tsan, *fake_stack;
};

// Gathering is a meeting with who came and went.
struct Gathering : Meeting {
	unsigned arrived, departed, line;
	const char *what;
	bool open;
	volatile unsigned done;
};

struct Warp {
	Gathering gatherings[4];
	unsigned exited, exists;
};

// Declared is shared memory under its declaration.
struct Declared { const void *declaration; char *place; size_t bytes; };

Kernel *kernels;
std::vector<Fiber *> sets[4]; // of fibers, never freed
unsigned set;
std::vector<Warp> warps;
std::vector<char *> arenas;                 // one a block, until the launch ends
Declared declared[8]; // of the block
size_t arena_used, declarations;
unsigned threads, alive, arrived;
volatile unsigned generation;
int barrier_line;
const Kernel *running;
void **arguments;
std::string message;
bool failed;
long order;
unsigned long long random_state;
void *main_stack_pointer;
[[maybe_unused]] void *main_tsan, *main_fake_stack;
[[maybe_unused]] const void *main_bottom;
[[maybe_unused]] size_t main_size;
[[maybe_unused]] char start_token, barrier_token[4][2], end_token; // what ThreadSanitizer orders memory by

unsigned random(unsigned n) {
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 33) % n;
}

// Switching: the registers that a call preserves, and the stack.
#if defined(__x86_64__)
extern "C" void emulate_switch(void **save, void *to);
asm(".text\n.globl emulate_switch\n.type emulate_switch,@function\nemulate_switch:\n"
	" push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
	" mov %rsp,(%rdi)\n mov %rsi,%rsp\n"
	" pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");

void *prepared(char *stack, void (*entry)()) {
	void **top = reinterpret_cast<void **>(stack + STACK);
	*--top = nullptr; // where entry would return to
	*--top = reinterpret_cast<void *>(entry);
	for (int i = 0; i < 6; i++) *--top = nullptr;
	return top;
}
#else
void emulate_switch(void **save, void *to) {
	ucontext_t here;
	*save = &here;
	swapcontext(&here, static_cast<ucontext_t *>(to));
}

void *prepared(char *stack, void (*entry)()) {
	auto *context = reinterpret_cast<ucontext_t *>(stack);
	getcontext(context);
	context->uc_stack.ss_sp = stack + sizeof *context;
	context->uc_stack.ss_size = STACK - sizeof *context;
	makecontext(context, entry, 0);
	return context;
}
#endif

Fiber *self() { return static_cast<Fiber *>(current); }

void leave(bool forever) {
	Fiber *f = self();
#ifdef EMULATE_TSAN
	__tsan_switch_to_fiber(main_tsan, 1); // 1: orders nothing
#endif
#ifdef EMULATE_ASAN
	__sanitizer_start_switch_fiber(forever ? nullptr : &f->fake_stack, main_bottom, main_size);
#endif
	(void)forever;
	emulate_switch(&f->stack_pointer, main_stack_pointer);
#ifdef EMULATE_ASAN
	__sanitizer_finish_switch_fiber(f->fake_stack, nullptr, nullptr);
#endif
}

void enter(Fiber *f) {
	current = f;
#ifdef EMULATE_TSAN
	__tsan_switch_to_fiber(f->tsan, 1);
#endif
#ifdef EMULATE_ASAN
	__sanitizer_start_switch_fiber(&main_fake_stack, f->stack, STACK);
#endif
	emulate_switch(&main_stack_pointer, f->stack_pointer);
#ifdef EMULATE_ASAN
	__sanitizer_finish_switch_fiber(main_fake_stack, nullptr, nullptr);
#endif
}

void entry() {
#ifdef EMULATE_ASAN
	__sanitizer_finish_switch_fiber(nullptr, &main_bottom, &main_size);
#endif
	Fiber *f = self();
#ifdef EMULATE_TSAN
	__tsan_acquire(&start_token);
#endif
	running->call(arguments);
#ifdef EMULATE_TSAN
	__tsan_release(&end_token);
#endif
	f->state = DONE;
	alive--;
	warps[f->warp].exited |= 1u << f->lane;
	for (;;) leave(true);
}

void wait_for(const volatile unsigned *watched, const char *what, int line) {
	Fiber *f = self();
	f->watched = watched, f->seen = *watched, f->what = what, f->line = line;
	f->state = WAITING;
	leave(false);
	f->state = READY;
}

Gathering &join(unsigned mask, const char *what, int line) {
	Warp &w = warps[current->warp];
	if (!(mask >> current->lane & 1)) fail("line %d: %s by lane %u, which is not in mask %08x", line, what, current->lane, mask);
	if (mask & ~w.exists) fail("line %d: %s with mask %08x, which names lanes beyond the block", line, what, mask);
	if (mask & w.exited) fail("line %d: %s with mask %08x, of which lanes %08x have exited", line, what, mask, w.exited);
	Gathering *free = nullptr;
	for (Gathering &g : w.gatherings) {
		if (!g.open) {
			free = &g;
		} else if (!g.done && g.mask & mask) {
			if (g.mask != mask || g.what != what || static_cast<int>(g.line) != line) fail("line %d: %s while other lanes are at line %u in %s", line, what, g.line, g.what);
			return g;
		}
	}
	if (!free) fail("line %d: too many meetings of a warp", line);
	free->open = true, free->done = 0, free->arrived = free->departed = 0;
	free->mask = mask, free->what = what, free->line = line;
	return *free;
}

// Fibers, with their stacks, serve one block after another. ThreadSanitizer takes what a fiber does
// in two blocks for ordered; so it is given several sets in turn, and any WINDOW blocks that
// follow each other share no order.
#ifdef EMULATE_TSAN
constexpr unsigned WINDOW = 4;
#else
constexpr unsigned WINDOW = 1;
#endif

Fiber *made() {
	auto *f = new Fiber();
	f->stack = static_cast<char *>(mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
#ifdef EMULATE_TSAN
	f->tsan = __tsan_create_fiber(0);
#endif
	return f;
}

Fiber *fresh(unsigned i) {
	std::vector<Fiber *> &fibers = sets[set];
	if (fibers.size() <= i) fibers.push_back(made());
	Fiber *f = fibers[i];
	f->index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
	f->lane = i % 32, f->warp = i / 32;
	f->state = READY, f->fake_stack = nullptr;
#ifdef EMULATE_ASAN
	__asan_unpoison_memory_region(f->stack, STACK);
#endif
	f->stack_pointer = prepared(f->stack, entry);
	return f;
}

void begin_arena() {
	char *arena = static_cast<char *>(aligned_alloc(4096, ARENA));
	memset(arena, 0xff, ARENA); // NaNs, and codes that no row has
	arenas.push_back(arena);
	arena_used = declarations = 0;
#ifdef EMULATE_ASAN
	__asan_poison_memory_region(arena, ARENA);
#endif
}

void deadlock() {
	char line[160];
	snprintf(line, sizeof line, "%u of %u threads have exited and the others wait:", threads - alive, threads);
	message = line;
	int shown = 0, last = -1;
	for (unsigned i = 0; i < threads && shown < 6; i++) {
		if (sets[set][i]->state != WAITING || sets[set][i]->line == last) continue;
		snprintf(line, sizeof line, " thread %u at line %d in %s;", i, sets[set][i]->line, sets[set][i]->what);
		message += line;
		last = sets[set][i]->line;
		shown++;
	}
	failed = true;
}

bool blocked(const Fiber *f) { return f->state == DONE || (f->state == WAITING && *f->watched == f->seen); }

void run_block() {
	threads = alive = block.x * block.y * block.z;
	arrived = 0;
	warps.assign((threads + 31) / 32, Warp{});
	begin_arena();
	set = (set + 1) % WINDOW;
	std::vector<Fiber *> turn;
	for (unsigned i = 0; i < threads; i++) {
		turn.push_back(fresh(i));
		warps[i / 32].exists |= 1u << i % 32;
	}
	if (order < 0) std::reverse(turn.begin(), turn.end());
#ifdef EMULATE_TSAN
	__tsan_release(&start_token);
#endif
	while (alive > 0 && !failed) {
		bool ran = false;
		for (unsigned i = threads - 1; order > 0 && i > 0; i--) std::swap(turn[i], turn[random(i + 1)]);
		for (Fiber *f : turn) {
			if (blocked(f)) continue;
			ran = true;
			enter(f);
			if (failed) break;
		}
		if (!ran) deadlock();
	}
}

const Kernel *find(const char *name) {
	const Kernel *k = kernels;
	while (k && strcmp(k->name, name) != 0) k = k->next;
	return k;
}

void end_arenas() {
#ifdef EMULATE_TSAN
	__tsan_acquire(&end_token);
#endif
	for (char *arena : arenas) {
#ifdef EMULATE_ASAN
		__asan_unpoison_memory_region(arena, ARENA);
#endif
		free(arena);
	}
	arenas.clear();
}

void run(unsigned blocks) {
	std::vector<unsigned> turn(blocks);
	for (unsigned i = 0; i < blocks; i++) turn[i] = order < 0 ? blocks - 1 - i : i;
	for (unsigned i = blocks - 1; order > 0 && i > 0; i--) std::swap(turn[i], turn[random(i + 1)]);
	for (unsigned i : turn) {
		block_index = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
		run_block();
		if (failed) break;
	}
	end_arenas();
}

// Halves: exponents begin at -14, and below that numbers are multiples of 2^-24.
const std::vector<float> all_halves = [] {
	std::vector<float> values(1 << 16);
	for (unsigned i = 0; i < values.size(); i++) {
		const unsigned exponent = i >> 10 & 31, fraction = i & 1023;
		float v = exponent == 31 ? (fraction ? NAN : INFINITY) : exponent ? ldexpf(1024 + fraction, exponent - 25) : ldexpf(fraction, -24);
		values[i] = i >> 15 ? -v : v;
	}
	half_values = values.data();
	return values;
}();

// copy is memcpy, which sanitizers would see.
void copy(void *to, const void *from, size_t n) {
#if !defined(EMULATE_ASAN) && !defined(EMULATE_TSAN)
	memcpy(to, from, n);
	return;
#endif
	for (size_t i = 0; i < n; i++) static_cast<volatile char *>(to)[i] = static_cast<const volatile char *>(from)[i];
}

float value(__half v) { return __half2float(v); }
float value(__nv_bfloat16 v) { return __bfloat162float(v); }
int value(signed char v) { return v; }

} // namespace

void shuffle(Meeting &m) {
	for (int i = 0; i < 32; i++) {
		if (!(m.mask >> i & 1)) continue;
		const int from = reinterpret_cast<const Exchanged *>(m.in[i])->from;
		if (!(m.mask >> from & 1)) fail("lane %d reads lane %d, which is not in mask %08x", i, from, m.mask);
		copy(m.out[i], m.in[from], sizeof(float));
	}
}

void ballot(Meeting &m) {
	unsigned votes = 0;
	for (int i = 0; i < 32; i++) votes |= (m.mask >> i & 1) && m.in[i][0] ? 1u << i : 0;
	for (int i = 0; i < 32; i++) copy(m.out[i], &votes, sizeof votes);
}

template <class T, class Sum> void product(Meeting &m) {
	Sum a[16][16], b[16][16];
	for (int i = 0; i < 256; i++) {
		const T *v = reinterpret_cast<const T *>(m.in[i % 32]);
		a[i / 16][i % 16] = value(v[i / 32]);
		b[i / 16][i % 16] = value(v[8 + i / 32]);
	}
	for (int r = 0; r < 16; r++) {
		Sum sums[16] = {};
		for (int k = 0; k < 16; k++)
			for (int c = 0; c < 16; c++) sums[c] += a[r][k] * b[k][c];
		for (int c = 0; c < 16; c++) {
			const int i = 16 * r + c;
			reinterpret_cast<Sum *>(m.out[i % 32])[i / 32] = sums[c];
		}
	}
}

template void product<__half, float>(Meeting &);
template void product<signed char, int>(Meeting &);

// tile has fragments lie as the ISA says for mma.m16n8k16 and mma.m16n8k32: a register has EACH values of a row
// (of a) or column (of b), its lane's place among four times as many further on.
template <class T, class Sum> void tile(Meeting &m) {
	constexpr int EACH = 4 / sizeof(T), DEPTH = 8 * EACH;
	Sum a[16][DEPTH], b[8][DEPTH];
	for (int lane = 0; lane < 32; lane++) {
		const T *v = reinterpret_cast<const T *>(m.in[lane]);
		for (int i = 0; i < 6 * EACH; i++) {
			const int r = i / EACH, k = EACH * (lane % 4) + i % EACH;
			if (r < 4) {
				a[lane / 4 + 8 * (r % 2)][k + 4 * EACH * (r / 2)] = value(v[i]);
			} else {
				b[lane / 4][k + 4 * EACH * (r - 4)] = value(v[i]);
			}
		}
	}
	for (int lane = 0; lane < 32; lane++) {
		for (int i = 0; i < 4; i++) {
			const Sum *row = a[lane / 4 + 8 * (i / 2)], *column = b[lane % 4 * 2 + i % 2];
			Sum sum = 0;
			for (int k = 0; k < DEPTH; k++) sum += row[k] * column[k];
			reinterpret_cast<Sum *>(m.out[lane])[i] = sum;
		}
	}
}

template void tile<__half, float>(Meeting &);
template void tile<__nv_bfloat16, float>(Meeting &);
template void tile<signed char, int>(Meeting &);

// rows gives lane l the addresses of rows l/4 of the matrices, whose rows' addresses eight lanes brought.
void rows(Meeting &m) {
	for (int lane = 0; lane < 32; lane++) {
		for (int i = 0; i < 4; i++) copy(m.out[lane] + i * sizeof(void *), m.in[8 * i + lane / 4], sizeof(void *));
	}
}

// columns gives lane l the addresses of rows 2·(l%4) and the next of each matrix.
void columns(Meeting &m) {
	for (int lane = 0; lane < 32; lane++) {
		for (int i = 0; i < 8; i++) copy(m.out[lane] + i * sizeof(void *), m.in[i / 2 * 8 + lane % 4 * 2 + i % 2], sizeof(void *));
	}
}

void add(Kernel *k) {
	k->next = kernels;
	kernels = k;
}

void fail(const char *format, ...) {
	char text[512];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	message = "thread " + std::to_string(current->warp * 32 + current->lane) + ": " + text;
	failed = true;
	for (;;) leave(true);
}

void barrier(int line) {
	if (arrived == 0) {
		barrier_line = line;
	} else if (barrier_line != line) {
		fail("__syncthreads at line %d while others wait at line %d", line, barrier_line);
	}
	const unsigned now = generation;
	arrived++;
#ifdef EMULATE_TSAN
	__tsan_release(&barrier_token[set][now & 1]);
#endif
	if (arrived == threads) {
		arrived = 0;
		generation = now + 1;
	} else {
		wait_for(&generation, "__syncthreads", line);
	}
#ifdef EMULATE_TSAN
	__tsan_acquire(&barrier_token[set][now & 1]);
#endif
}

void *shared(const void *declaration, size_t bytes) {
	for (size_t i = 0; i < declarations; i++) {
		if (declared[i].declaration == declaration) return declared[i].place;
	}
	constexpr size_t GUARD = 128;
	if (declarations == sizeof declared / sizeof *declared) fail("too many declarations of shared memory");
	if (arena_used + bytes > MOST_SHARED) fail("%zu bytes of shared memory: more than the %zu that a block may have", arena_used + bytes, MOST_SHARED);
	char *place = arenas.back() + arena_used + GUARD;
	arena_used = (arena_used + bytes + 2 * GUARD - 1) / GUARD * GUARD;
#ifdef EMULATE_ASAN
	__asan_unpoison_memory_region(place, bytes);
#endif
	declared[declarations++] = {declaration, place, bytes};
	return place;
}

void within(const void *p, size_t bytes, const char *what, int line) {
	for (size_t i = 0; i < declarations; i++) {
		const size_t at = static_cast<const char *>(p) - declared[i].place; // huge ahead of it
		if (at < declared[i].bytes && declared[i].bytes - at >= bytes) return;
	}
	fail("line %d: %s: %zu bytes at %p, which are not all in shared memory", line, what, bytes, p);
}

void meet(unsigned mask, const char *what, int line, const void *in, size_t in_bytes, void *out, size_t out_bytes, Combine *combine) {
	Gathering &g = join(mask, what, line);
	const unsigned lane = current->lane;
	copy(g.in[lane], in, in_bytes);
	g.arrived |= 1u << lane;
	if (g.arrived == mask) {
		if (combine) combine(g);
		g.done = 1;
	} else {
		wait_for(&g.done, what, line);
	}
	copy(out, g.out[lane], out_bytes);
	g.departed |= 1u << lane;
	if (g.departed == mask) g.open = false;
}

uint16_t half_of(float v) {
	const unsigned b = bits<unsigned>(v), sign = b >> 16 & 0x8000;
	const float magnitude = fabsf(v);
	if (v != v) return 0x7fff;
	if (magnitude >= 65520.f) return sign | 0x7c00;
	if (magnitude < 0x1p-14f) return sign | static_cast<unsigned>(rintf(magnitude * 0x1p24f));
	const unsigned rounded = (b & 0x7fffffff) + 0xfff + (b >> 13 & 1);
	return sign | (rounded - (112u << 23)) >> 13;
}

uint16_t bfloat16_of(float v) {
	const unsigned b = bits<unsigned>(v);
	return v != v ? 0x7fff : (b + 0x7fff + (b >> 16 & 1)) >> 16;
}

} // namespace emulate

void nvcuda::wmma::together(const char *what, int line) { emulate::meet(0xffffffffu, what, line, nullptr, 0, nullptr, 0, nullptr); }

extern "C" {

const char *emulate_launch(const char *name, const unsigned grid[3], const unsigned block[3], void **args) {
	using namespace emulate;
	running = find(name);
	if (!running) return "no such kernel";
	emulate::grid = {grid[0], grid[1], grid[2]};
	emulate::block = {block[0], block[1], block[2]};
	const unsigned long long blocks = 1ull * grid[0] * grid[1] * grid[2], size = 1ull * block[0] * block[1] * block[2];
	if (!blocks || !size || size > running->threads || grid[1] > 65535 || grid[2] > 65535 || blocks > 1u << 30) return "invalid grid or block";
	arguments = args;
	failed = false;
	random_state = order;
#ifdef EMULATE_TSAN
	main_tsan = __tsan_get_current_fiber();
#endif
	run(blocks);
	if (!failed) return nullptr;
	char where[128];
	snprintf(where, sizeof where, "%s, block (%u, %u, %u), ", name, block_index.x, block_index.y, block_index.z);
	message = where + message;
	return message.c_str();
}

int emulate_arguments(const char *name, const unsigned short **sizes) {
	const emulate::Kernel *k = emulate::find(name);
	if (k) *sizes = k->sizes;
	return k ? k->count : -1;
}

void emulate_order(long order) { emulate::order = order; }

void emulate_plant(int n) { emulate::planted = n; }
}
