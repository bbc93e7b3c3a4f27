//go:build cuda

#include "calls.h"

enum { most_arguments = 32 };

#define IN_CONTEXT(q)                                 \
	do {                                          \
		CUresult in = cuCtxSetCurrent((q)->context); \
		if (in)                               \
			return in;                    \
	} while (0)

CUresult launch(const queue *q, CUfunction f, const int *grid, const int *block, uint64_t *args, int n)
{
	void *places[most_arguments];
	if (n > most_arguments)
		return CUDA_ERROR_INVALID_VALUE;
	for (int i = 0; i < n; i++)
		places[i] = &args[i];
	IN_CONTEXT(q);
	return cuLaunchKernel(f, grid[0], grid[1], grid[2], block[0], block[1], block[2], 0, q->stream, places, NULL);
}

CUresult copy_in(const queue *q, CUdeviceptr to, const void *from, size_t bytes)
{
	IN_CONTEXT(q);
	return cuMemcpyHtoDAsync(to, from, bytes, q->stream);
}

CUresult copy_out(const queue *q, void *to, CUdeviceptr from, size_t bytes)
{
	IN_CONTEXT(q);
	return cuMemcpyDtoHAsync(to, from, bytes, q->stream);
}

CUresult clear(const queue *q, CUdeviceptr to, size_t bytes)
{
	IN_CONTEXT(q);
	return cuMemsetD8Async(to, 0, bytes, q->stream);
}

CUresult wait(const queue *q)
{
	IN_CONTEXT(q);
	return cuStreamSynchronize(q->stream);
}

CUresult begin_capture(const queue *q)
{
	IN_CONTEXT(q);
	return cuStreamBeginCapture(q->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
}

/* cuGraphInstantiate as CUDA 10 has it, under the name that every driver exports. */
CUresult first_instantiate(CUgraphExec *exec, CUgraph graph, CUgraphNode *node, char *log, size_t size) __asm__("cuGraphInstantiate");

static CUresult instantiate(CUgraphExec *exec, CUgraph graph)
{
	CUresult r = cuGraphInstantiateWithFlags(exec, graph, 0); /* from 11.4 on */
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		r = first_instantiate(exec, graph, NULL, NULL, 0);
	return r;
}

CUresult end_capture(const queue *q, CUgraphExec *exec)
{
	IN_CONTEXT(q);
	CUgraph graph = NULL;
	CUresult r = cuStreamEndCapture(q->stream, &graph);
	if (!r)
		r = instantiate(exec, graph);
	if (graph) {
		CUresult freed = cuGraphDestroy(graph);
		r = r ? r : freed;
	}
	return r;
}

CUresult replay(const queue *q, CUgraphExec graph)
{
	IN_CONTEXT(q);
	return cuGraphLaunch(graph, q->stream);
}

CUresult free_graph(const queue *q, CUgraphExec graph)
{
	IN_CONTEXT(q);
	return cuGraphExecDestroy(graph);
}

CUresult pinned(const queue *q, void **memory, size_t bytes)
{
	IN_CONTEXT(q);
	return cuMemHostAlloc(memory, bytes, 0);
}
