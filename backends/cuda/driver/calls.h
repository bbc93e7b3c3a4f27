/* What gorgonia.org/cu lacks of the driver API, or has in a way that a frame cannot
 * afford: each call is made on the thread that comes, so each sets its context first. */
#pragma once
#include <cuda.h>
#include <stdint.h>

typedef struct {
	CUcontext context;
	CUstream stream;
} queue;

/* launch starts a kernel with n arguments, at most 32, of up to 8 bytes each. */
CUresult launch(const queue *q, CUfunction f, const int *grid, const int *block, uint64_t *args, int n);
CUresult copy_in(const queue *q, CUdeviceptr to, const void *from, size_t bytes);
CUresult copy_out(const queue *q, void *to, CUdeviceptr from, size_t bytes);
CUresult clear(const queue *q, CUdeviceptr to, size_t bytes);
CUresult wait(const queue *q);

/* begin_capture has the queue record what the calling thread gives it, end_capture makes
 * that a graph to launch. On the same thread. */
CUresult begin_capture(const queue *q);
CUresult end_capture(const queue *q, CUgraphExec *graph);
CUresult replay(const queue *q, CUgraphExec graph);
CUresult free_graph(const queue *q, CUgraphExec graph);

/* pinned allocates page-locked memory, which the context's end frees. */
CUresult pinned(const queue *q, void **memory, size_t bytes);
