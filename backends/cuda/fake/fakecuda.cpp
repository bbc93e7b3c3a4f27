// A libcuda.so.1 without a GPU: as much of CUDA's driver API as package driver calls,
// with the kernels' sources, built for the processor, behind cuLaunchKernel. It is for
// tests, and made so that wrong host code fails here:
//
//   - Work is done as late as it may be, at a synchronisation; what a copy will write is
//     spoilt when the copy is queued, and its source is read when it is done.
//   - Copies that go on while the caller does must have page-locked memory.
//   - Memory of the device lies before a page that faults, is full of NaN, and cannot be
//     touched at all but by a kernel or a copy.
//   - Contexts are a thread's own. An error of a kernel stays with its context.
//   - PTX must suit the device and its driver, and its entries the kernels' parameters.
//   - What a capture forbids ends the capture.
//
// The environment is read by cuInit, which forgets what was before:
//
//   FAKECUDA_KERNELS=FOLDER     has 53, 72, 80 with a libkernels.so each (../kernels/emulate)
//   FAKECUDA_DEVICE=nano|xavier|orin|h100|none
//   FAKECUDA_MEMORY=BYTES       instead of the device's
//   FAKECUDA_FAIL=CALL:N=CODE   the N-th CALL fails; with a code that a context keeps, all later ones
//   FAKECUDA_TRACE=FILE         a line for each call, appended
#include <cuda.h>
#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api.h"

#define API extern "C" __attribute__((visibility("default"))) CUresult

namespace {

struct Profile {
	const char *name, *title;
	int major, minor, driver, ptx; // ptx: the newest ISA that the driver compiles
	int processors, mhz;
	size_t memory;
};
const Profile profiles[] = {
	{"nano", "NVIDIA Tegra X1", 5, 3, 10020, 65, 1, 921, 4ul << 30},
	{"xavier", "Xavier", 7, 2, 11040, 74, 6, 1109, 8ul << 30},
	{"orin", "Orin", 8, 7, 12060, 85, 8, 624, 8ul << 30},
	{"h100", "NVIDIA H100 80GB HBM3", 9, 0, 13000, 90, 132, 1980, 80ul << 30},
};

// Emulation is a library of kernels built for the processor.
struct Emulation {
	decltype(emulate_launch) *launch;
	decltype(emulate_arguments) *arguments;
};
struct Function {
	std::string name;
	const Emulation *by;
	std::vector<unsigned short> sizes; // of its arguments
};
struct Module {
	std::map<std::string, std::unique_ptr<Function>> functions;
};
using Operation = std::function<CUresult()>;
struct Spoilt {
	void *at;
	size_t bytes;
};
struct Graph {
	std::vector<Operation> operations;
	std::vector<Spoilt> spoilt;
};
struct Context;
struct Stream {
	Context *context;
	std::deque<Operation> queue;
	std::unique_ptr<Graph> capture;
	std::thread::id capturer;
	bool invalid = false;
};
struct Allocation {
	size_t bytes, mapped;
	char *base;
};
using Allocations = std::map<CUdeviceptr, Allocation>;
struct Context {
	CUresult sticky = CUDA_SUCCESS;
	std::set<Stream *> streams;
	std::set<Module *> modules;
	std::set<Graph *> graphs;
	Allocations allocations, pinned; // of the device, and of the process
};

std::recursive_mutex mutex;
const Profile *profile;
size_t memory, used;
std::map<std::string, int> calls;
std::string failing;
FILE *trace;
std::set<Context *> contexts;
thread_local std::vector<Context *> stack; // the last is current

Context *current() { return stack.empty() ? nullptr : stack.back(); }

// keeps reports whether a context fails for good with an error.
bool keeps(int code) { return code == 214 || code == 999 || (code >= 700 && code < 720 && code != 701 && code != 704 && code != 705); }

// injected is the error that FAKECUDA_FAIL wants of this call.
CUresult injected(const char *call)
{
	int nth = ++calls[call];
	char name[64];
	int n, code;
	if (sscanf(failing.c_str(), "%63[^:]:%d=%d", name, &n, &code) != 3 || strcmp(name, call) || n != nth)
		return CUDA_SUCCESS;
	if (keeps(code) && current())
		current()->sticky = (CUresult)code;
	return (CUresult)code;
}

enum Wants { nothing = 0, in_context = 1, no_capture = 2 };

// enter is what every call begins with.
CUresult enter(const char *call, int wants)
{
	if (trace) {
		fprintf(trace, "%s\n", call);
		fflush(trace);
	}
	if (CUresult r = injected(call))
		return r;
	if (!profile)
		return CUDA_ERROR_NOT_INITIALIZED;
	Context *c = current();
	if ((wants & in_context) && !c)
		return CUDA_ERROR_INVALID_CONTEXT;
	if ((wants & in_context) && !contexts.count(c))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if ((wants & in_context) && c->sticky)
		return c->sticky;
	if (c && (wants & no_capture))
		for (Stream *s : c->streams)
			if (s->capture && s->capturer == std::this_thread::get_id()) {
				s->invalid = true;
				return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
			}
	return CUDA_SUCCESS;
}
#define ENTER(wants)                                         \
	std::lock_guard<std::recursive_mutex> guard(mutex);  \
	if (CUresult entered = enter(__func__, wants))       \
		return entered

void complain(const std::string &what) { fprintf(stderr, "fakecuda: %s\n", what.c_str()); }

// touchable lets the context's memory be read and written as long as it lives.
struct Touchable {
	explicit Touchable(Context *c) : context(c) { protect(PROT_READ | PROT_WRITE); }
	~Touchable() { protect(PROT_NONE); }
	void protect(int how)
	{
		for (auto &[at, a] : context->allocations)
			mprotect(a.base, a.mapped, how);
	}
	Context *context;
};

bool inside(const Allocations &those, CUdeviceptr at, size_t bytes)
{
	auto i = those.upper_bound(at);
	if (i == those.begin())
		return false;
	--i;
	return at + bytes <= i->first + i->second.bytes;
}

// may_copy reports whether a copy that goes on while the caller does is between allocations.
bool may_copy(Context *c, CUdeviceptr device, const void *host, size_t bytes)
{
	if (inside(c->allocations, device, bytes) && inside(c->pinned, (CUdeviceptr)host, bytes))
		return true;
	complain("a copy from or to memory that is not page-locked, or beyond an allocation");
	return false;
}

CUresult drain(Stream *s)
{
	if (s->queue.empty())
		return s->context->sticky;
	Touchable while_draining(s->context);
	while (!s->queue.empty() && !s->context->sticky) {
		Operation o = std::move(s->queue.front());
		s->queue.pop_front();
		if (CUresult r = o())
			s->context->sticky = r;
	}
	s->queue.clear();
	return s->context->sticky;
}

CUresult queue(Stream *s, Operation o)
{
	if (!s || !current()->streams.count(s))
		return CUDA_ERROR_INVALID_HANDLE; // the backend has a stream of its own
	if (s->invalid)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (s->capture)
		s->capture->operations.push_back(std::move(o));
	else
		s->queue.push_back(std::move(o));
	return CUDA_SUCCESS;
}

void spoil(Stream *s, void *at, size_t bytes)
{
	if (s->capture)
		s->capture->spoilt.push_back({at, bytes});
	else
		memset(at, 0xee, bytes);
}

void free_allocation(const Allocation &a)
{
	munmap(a.base, a.mapped + 4096);
	used -= a.bytes;
}

// width is how many bytes a parameter takes, by its declaration in PTX.
int width(const std::string &declared)
{
	for (const char *w : {".u64", ".s64", ".b64", ".f64"})
		if (declared.find(w) != std::string::npos)
			return 8;
	for (const char *w : {".u32", ".s32", ".b32", ".f32"})
		if (declared.find(w) != std::string::npos)
			return 4;
	return 0;
}

std::string environment(const char *name)
{
	const char *v = getenv(name);
	return v ? v : "";
}

// emulation loads a target's kernels.
const Emulation *emulation(int target)
{
	static std::map<std::string, Emulation> loaded;
	std::string path = environment("FAKECUDA_KERNELS") + "/" + std::to_string(target) + "/libkernels.so";
	Emulation &e = loaded[path];
	if (e.launch)
		return &e;
	void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		complain(dlerror());
		return nullptr;
	}
	e.launch = (decltype(e.launch))dlsym(library, "emulate_launch");
	e.arguments = (decltype(e.arguments))dlsym(library, "emulate_arguments");
	return e.launch && e.arguments ? &e : nullptr;
}

// entry reads the declaration of an entry, from its name on.
CUresult entry(Module *m, const Emulation *by, const std::string &text)
{
	size_t open = text.find('('), close = text.find(')');
	auto f = std::make_unique<Function>();
	f->by = by;
	f->name = text.substr(0, open);
	while (!f->name.empty() && isspace((unsigned char)f->name.back()))
		f->name.pop_back();
	const unsigned short *sizes;
	int n = by->arguments(f->name.c_str(), &sizes);
	if (n < 0) {
		complain("entry " + f->name + " is not built for the processor");
		return CUDA_ERROR_INVALID_PTX;
	}
	f->sizes.assign(sizes, sizes + n);
	std::vector<unsigned short> declared;
	std::string parameters = text.substr(open + 1, close - open - 1);
	for (size_t at = 0; (at = parameters.find(".param", at)) != std::string::npos; at++)
		declared.push_back(width(parameters.substr(at, parameters.find(',', at) - at)));
	if (declared != f->sizes) {
		complain("entry " + f->name + " has other parameters than its source");
		return CUDA_ERROR_INVALID_PTX;
	}
	m->functions[f->name] = std::move(f);
	return CUDA_SUCCESS;
}

CUresult compile(Module *m, const std::string &ptx)
{
	int major, minor, target;
	size_t version = ptx.find("\n.version "), sm = ptx.find("\n.target sm_");
	if (version == std::string::npos || sm == std::string::npos || sscanf(ptx.c_str() + version, " .version %d.%d", &major, &minor) != 2)
		return CUDA_ERROR_INVALID_IMAGE;
	target = atoi(ptx.c_str() + sm + strlen("\n.target sm_"));
	if (major * 10 + minor > profile->ptx)
		return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
	if (target > profile->major * 10 + profile->minor)
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	const Emulation *by = emulation(target);
	if (!by)
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	const std::string word = ".entry ";
	for (size_t at = 0; (at = ptx.find(word, at)) != std::string::npos; at += word.size())
		if (CUresult r = entry(m, by, ptx.substr(at + word.size(), ptx.find('{', at) - at)))
			return r;
	return CUDA_SUCCESS;
}

Stream *stream(CUstream s) { return (Stream *)s; }

} // namespace

API cuInit(unsigned)
{
	std::lock_guard<std::recursive_mutex> guard(mutex);
	calls.clear();
	failing = environment("FAKECUDA_FAIL");
	if (trace)
		fclose(trace);
	std::string file = environment("FAKECUDA_TRACE"), name = environment("FAKECUDA_DEVICE"), size = environment("FAKECUDA_MEMORY");
	trace = file.empty() ? nullptr : fopen(file.c_str(), "a");
	profile = nullptr;
	if (CUresult r = injected(__func__))
		return r;
	for (const Profile &p : profiles)
		if (name == p.name || (name.empty() && !strcmp(p.name, "h100")))
			profile = &p;
	if (!profile)
		return CUDA_ERROR_NO_DEVICE;
	memory = size.empty() ? profile->memory : strtoull(size.c_str(), nullptr, 10);
	return CUDA_SUCCESS;
}

API cuDriverGetVersion(int *v)
{
	ENTER(nothing);
	*v = profile->driver;
	return CUDA_SUCCESS;
}

API cuDeviceGetCount(int *n)
{
	ENTER(nothing);
	*n = 1;
	return CUDA_SUCCESS;
}

API cuDeviceGet(CUdevice *d, int i)
{
	ENTER(nothing);
	*d = 0;
	return i ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

API cuDeviceGetName(char *s, int n, CUdevice)
{
	ENTER(nothing);
	snprintf(s, n, "%s", profile->title);
	return CUDA_SUCCESS;
}

API cuDeviceTotalMem_v2(size_t *n, CUdevice)
{
	ENTER(nothing);
	*n = memory;
	return CUDA_SUCCESS;
}

API cuDeviceGetAttribute(int *v, CUdevice_attribute a, CUdevice)
{
	ENTER(nothing);
	switch (a) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = profile->major; break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = profile->minor; break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = profile->processors; break;
	case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *v = profile->mhz * 1000; break;
	default: return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

API cuCtxCreate_v2(CUcontext *c, unsigned flags, CUdevice)
{
	ENTER(nothing);
	if (!(flags & CU_CTX_SCHED_BLOCKING_SYNC))
		complain("the context spins while it waits");
	auto made = new Context;
	contexts.insert(made);
	stack.push_back(made);
	*c = (CUcontext)made;
	return CUDA_SUCCESS;
}

API cuCtxDestroy_v2(CUcontext handle)
{
	ENTER(nothing);
	auto c = (Context *)handle;
	if (!contexts.count(c))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (current() == c)
		stack.pop_back();
	CUresult r = c->sticky;
	for (Stream *s : c->streams)
		delete s;
	for (Module *m : c->modules)
		delete m;
	for (Graph *g : c->graphs)
		delete g;
	for (auto &[at, a] : c->allocations)
		free_allocation(a);
	for (auto &[at, a] : c->pinned)
		free(a.base);
	contexts.erase(c);
	delete c;
	return r;
}

API cuCtxSetCurrent(CUcontext c)
{
	ENTER(nothing);
	if (stack.empty())
		stack.push_back(nullptr);
	stack.back() = (Context *)c;
	return c && !contexts.count((Context *)c) ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_SUCCESS;
}

API cuCtxPopCurrent_v2(CUcontext *c)
{
	ENTER(in_context);
	*c = (CUcontext)current();
	stack.pop_back();
	return CUDA_SUCCESS;
}

API cuModuleLoadData(CUmodule *m, const void *image)
{
	ENTER(in_context | no_capture);
	auto made = std::make_unique<Module>();
	if (CUresult r = compile(made.get(), std::string("\n") + (const char *)image))
		return r;
	*m = (CUmodule)made.get();
	current()->modules.insert(made.release());
	return CUDA_SUCCESS;
}

API cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name)
{
	ENTER(in_context);
	auto &functions = ((Module *)m)->functions;
	auto i = functions.find(name);
	if (i == functions.end())
		return CUDA_ERROR_NOT_FOUND;
	*f = (CUfunction)i->second.get();
	return CUDA_SUCCESS;
}

API cuMemAlloc_v2(CUdeviceptr *p, size_t bytes)
{
	ENTER(in_context | no_capture);
	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (used + bytes > memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	size_t whole = (bytes + 255) & ~255ul, mapped = (whole + 4095) & ~4095ul;
	auto base = (char *)mmap(nullptr, mapped + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return CUDA_ERROR_OUT_OF_MEMORY;
	mprotect(base, mapped, PROT_READ | PROT_WRITE);
	memset(base, 0xff, mapped);
	mprotect(base, mapped, PROT_NONE);
	*p = (CUdeviceptr)(base + mapped - whole);
	current()->allocations[*p] = {bytes, mapped, base};
	used += bytes;
	return CUDA_SUCCESS;
}

API cuMemHostAlloc(void **p, size_t bytes, unsigned)
{
	ENTER(in_context | no_capture);
	*p = malloc(bytes);
	current()->pinned[(CUdeviceptr)*p] = {bytes, bytes, (char *)*p};
	return CUDA_SUCCESS;
}

API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream s)
{
	ENTER(in_context);
	Context *c = current();
	if (!may_copy(c, to, from, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return queue(stream(s), [=] {
		memcpy((void *)to, from, bytes);
		return CUDA_SUCCESS;
	});
}

API cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream s)
{
	ENTER(in_context);
	Context *c = current();
	if (!may_copy(c, from, to, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (c->streams.count(stream(s)))
		spoil(stream(s), to, bytes);
	return queue(stream(s), [=] {
		memcpy(to, (void *)from, bytes);
		return CUDA_SUCCESS;
	});
}

API cuMemsetD8Async(CUdeviceptr at, unsigned char v, size_t bytes, CUstream s)
{
	ENTER(in_context);
	Context *c = current();
	if (!inside(c->allocations, at, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return queue(stream(s), [=] {
		memset((void *)at, v, bytes);
		return CUDA_SUCCESS;
	});
}

API cuLaunchKernel(CUfunction handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream s, void **parameters, void **extra)
{
	ENTER(in_context);
	auto f = (Function *)handle;
	if (!f || extra || !parameters)
		return CUDA_ERROR_INVALID_VALUE;
	bool fits = gx && gy && gz && gy <= 65535 && gz <= 65535 && bx && by && bz && bx <= 1024 && by <= 1024 && bz <= 64 && (size_t)bx * by * bz <= 1024 && !shared;
	if (!fits)
		return CUDA_ERROR_INVALID_VALUE;
	auto arguments = std::make_shared<std::vector<std::vector<char>>>();
	for (size_t i = 0; i < f->sizes.size(); i++) {
		auto p = (const char *)parameters[i];
		arguments->emplace_back(p, p + f->sizes[i]);
	}
	return queue(stream(s), [=]() -> CUresult {
		std::vector<void *> places;
		for (auto &a : *arguments)
			places.push_back(a.data());
		const unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
		const char *wrong = f->by->launch(f->name.c_str(), grid, block, places.data());
		if (wrong)
			complain(wrong);
		return wrong ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
	});
}

API cuStreamCreate(CUstream *s, unsigned)
{
	ENTER(in_context);
	auto made = new Stream;
	made->context = current();
	current()->streams.insert(made);
	*s = (CUstream)made;
	return CUDA_SUCCESS;
}

API cuStreamSynchronize(CUstream s)
{
	ENTER(in_context | no_capture);
	return drain(stream(s));
}

API cuStreamBeginCapture_v2(CUstream h, CUstreamCaptureMode)
{
	ENTER(in_context);
	Stream *s = stream(h);
	if (!s)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (s->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	s->capture = std::make_unique<Graph>();
	s->capturer = std::this_thread::get_id();
	s->invalid = false;
	return CUDA_SUCCESS;
}

API cuStreamEndCapture(CUstream h, CUgraph *g)
{
	ENTER(in_context);
	Stream *s = stream(h);
	*g = nullptr;
	if (!s->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	if (s->capturer != std::this_thread::get_id())
		return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	std::unique_ptr<Graph> taken = std::move(s->capture);
	if (std::exchange(s->invalid, false))
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	*g = (CUgraph)taken.get();
	current()->graphs.insert(taken.release());
	return CUDA_SUCCESS;
}

static CUresult instantiate(CUgraphExec *x, CUgraph g)
{
	auto made = new Graph(*(Graph *)g);
	current()->graphs.insert(made);
	*x = (CUgraphExec)made;
	return CUDA_SUCCESS;
}

// It came with CUDA 11.4.
API cuGraphInstantiateWithFlags(CUgraphExec *x, CUgraph g, unsigned long long)
{
	ENTER(in_context | no_capture);
	return profile->driver < 11040 ? CUDA_ERROR_NOT_SUPPORTED : instantiate(x, g);
}

// The header leads the name to another function.
extern "C" __attribute__((visibility("default"))) CUresult first_instantiate(CUgraphExec *x, CUgraph g, CUgraphNode *, char *, size_t) __asm__("cuGraphInstantiate");
CUresult first_instantiate(CUgraphExec *x, CUgraph g, CUgraphNode *, char *, size_t)
{
	std::lock_guard<std::recursive_mutex> guard(mutex);
	if (CUresult entered = enter("cuGraphInstantiate", in_context | no_capture))
		return entered;
	return instantiate(x, g);
}

API cuGraphLaunch(CUgraphExec x, CUstream s)
{
	ENTER(in_context);
	auto g = (Graph *)x;
	if (!current()->graphs.count(g))
		return CUDA_ERROR_INVALID_HANDLE;
	for (Spoilt &d : g->spoilt)
		memset(d.at, 0xee, d.bytes);
	for (Operation &o : g->operations)
		if (CUresult r = queue(stream(s), o))
			return r;
	return CUDA_SUCCESS;
}

static CUresult destroy(Graph *g)
{
	if (!current()->graphs.erase(g))
		return CUDA_ERROR_INVALID_HANDLE;
	delete g;
	return CUDA_SUCCESS;
}

API cuGraphDestroy(CUgraph g)
{
	ENTER(in_context);
	return destroy((Graph *)g);
}

API cuGraphExecDestroy(CUgraphExec x)
{
	ENTER(in_context);
	return destroy((Graph *)x);
}

API cuGetErrorString(CUresult code, const char **s)
{
	static char text[32];
	snprintf(text, sizeof text, "error %d", code);
	*s = text;
	return CUDA_SUCCESS;
}
