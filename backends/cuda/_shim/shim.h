/* The shim stands in for libcuda when a program is linked (shim.c). */
#pragma once
#include <stddef.h>

/* shim_no_library: there is no such library, or it is no driver. */
enum { shim_no_library = -1 };

/* shim_open finds the driver's library by dlopen's rules, initialises the driver and
 * has every function of the driver API lead there. It returns 0, or a CUresult or
 * shim_no_library with a reason in why. It may be called again, by one thread at a
 * time; with another library not beside calls of the driver API. */
int shim_open(const char *path, char *why, size_t size);
