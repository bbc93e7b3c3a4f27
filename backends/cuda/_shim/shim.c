/* What a program links as libcuda: every function of the driver API (jumps.S), each a
 * jump through a table. Until shim_open has found the driver's own library a call
 * returns CUDA_ERROR_NOT_INITIALIZED; but cuInit returns success, since gorgonia.org/cu
 * calls it before main and ends the process where it fails. So one program runs on
 * machines with and without a GPU, and nothing but the backend wakes a driver. */
#define _GNU_SOURCE
#include "shim.h"
#include "symbols.h"
#include <dlfcn.h>
#include <stdio.h>

enum { not_initialized = 3, not_supported = 801 };

static int ready(void) { return 0; }
static int closed(void) { return not_initialized; }
static int absent(void) { return not_supported; } /* newer than the driver */

void *shim_table[shim_count] = {
	[0 ... shim_count - 1] = (void *)closed,
	[shim_init] = (void *)ready,
};

/* explain has the library say what an error is. */
static void explain(void *library, int code, char *why, size_t size)
{
	int (*text)(int, const char **) = (int (*)(int, const char **))dlsym(library, "cuGetErrorString");
	const char *said = NULL;
	if (text && text(code, &said) == 0 && said)
		snprintf(why, size, "%s", said);
	else
		snprintf(why, size, "unknown error");
}

/* fill has the table lead to a library. */
static void fill(void *library)
{
	static void *filled;
	if (library == filled)
		return; /* others may be calling through it */
	for (int i = 0; i < shim_count; i++) {
		void *f = dlsym(library, shim_names[i]);
		if (i != shim_init)
			shim_table[i] = f ? f : (void *)absent;
	}
	filled = library;
}

int shim_open(const char *path, char *why, size_t size)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		snprintf(why, size, "%s", dlerror());
		return shim_no_library;
	}
	int (*init)(unsigned) = (int (*)(unsigned))dlsym(library, shim_names[shim_init]);
	if (!init) {
		snprintf(why, size, "%s is no driver: it has no cuInit", path);
		return shim_no_library;
	}
	int failed = init(0);
	if (failed) {
		explain(library, failed, why, size);
		return failed;
	}
	fill(library);
	return 0;
}
