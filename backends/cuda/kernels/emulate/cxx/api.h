// What a program sees of the emulated kernels of one target: C, so that it can be found with dlsym.
#pragma once
#ifdef __cplusplus
extern "C" {
#endif

// emulate_launch runs a kernel by its name on the CPU and returns when all of its blocks are
// done: 0, or one line that says what was wrong (it stays until the next launch). args points to
// each argument, as cuLaunchKernel's do. One thread at a time.
const char *emulate_launch(const char *name, const unsigned grid[3], const unsigned block[3], void **args);

// emulate_arguments is how many arguments a kernel takes, -1 where there is none of that
// name, and sets *sizes to the size of each in bytes.
int emulate_arguments(const char *name, const unsigned short **sizes);

// emulate_order is the order in which the next launches run blocks and threads: 0 ascending,
// -1 descending, else shuffled, by a seed.
void emulate_order(long order);

// emulate_plant plants defect number n in a build that has some; 0: none.
void emulate_plant(int n);

#ifdef __cplusplus
}
#endif
