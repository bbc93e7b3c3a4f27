// Runs emulated kernels for a program at the other end of two pipes. A request is a letter and
// numbers of 8 bytes; memory's addresses are this process's own.
//
//	A bytes                             → address
//	F address                           (free)
//	W address bytes …                   (write)
//	R address bytes                     → …
//	L name[32] grid[3] block[3] n args… → bytes …: nothing, or what was wrong
//	O order                             (emulate_order)
//	P n                                 (emulate_plant)
#include "api.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>

typedef unsigned long long word;

static bool read_all(void *to, size_t n) { return n == 0 || fread(to, 1, n, stdin) == n; }

static word number() {
	word v = 0;
	if (!read_all(&v, sizeof v)) exit(2);
	return v;
}

static void reply(const void *from, size_t n) {
	if (n > 0) fwrite(from, 1, n, stdout);
	fflush(stdout);
}

static void launch() {
	char name[33] = {};
	unsigned grid[3], block[3];
	if (!read_all(name, 32)) exit(2);
	for (unsigned &v : grid) v = number();
	for (unsigned &v : block) v = number();
	word values[64];
	void *args[64];
	const word n = number();
	if (n > 64) exit(2);
	for (word i = 0; i < n; i++) values[i] = number(), args[i] = &values[i];
	const unsigned short *sizes;
	const int takes = emulate_arguments(name, &sizes);
	const char *wrong = takes < 0 ? "no such kernel" : static_cast<word>(takes) != n ? "wrong number of arguments" : emulate_launch(name, grid, block, args);
	const word length = wrong ? strlen(wrong) : 0;
	reply(&length, sizeof length);
	reply(wrong, length);
}

int main() {
	for (int op; (op = getchar()) != EOF;) {
		switch (op) {
		case 'A': {
			void *p = nullptr;
			if (posix_memalign(&p, 256, number())) exit(2);
			reply(&p, sizeof p);
			break;
		}
		case 'F': free(reinterpret_cast<void *>(number())); break;
		case 'W': {
			void *to = reinterpret_cast<void *>(number());
			if (!read_all(to, number())) exit(2);
			break;
		}
		case 'R': {
			const void *from = reinterpret_cast<const void *>(number());
			reply(from, number());
			break;
		}
		case 'L': launch(); break;
		case 'O': emulate_order(static_cast<long>(number())); break;
		case 'P': emulate_plant(static_cast<int>(number())); break;
		default: return 2;
		}
	}
	return 0;
}
