// The functions of CUDA's driver API that the backend calls (CUDA Driver API reference manual), on the memory of this
// process, with the fibers of fibers.cpp as the device. Queued work is executed when something waits for it, the latest moment
// allowed, to reveal memory that is reused too early. An event is not ready the first time it is queried.
//
// DAG_CUDA_EMULATOR_MEMORY: bytes of device memory, default 4 GiB. DAG_CUDA_EMULATOR_FAIL=function:code[:calls]: that function
// returns that error after `calls` successful calls. Errors that would lose a real device's context persist.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "driver.h"
#include "fibers.h"

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

enum Result {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  NO_BINARY_FOR_GPU = 209,
  ECC_UNCORRECTABLE = 214,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  ILLEGAL_ADDRESS = 700,
  LAUNCH_FAILED = 719,
  STREAM_CAPTURE_UNSUPPORTED = 900,
  STREAM_CAPTURE_INVALIDATED = 901,
};

struct Named {
  int code;
  const char *name, *text;
};
constexpr Named ERRORS[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {ECC_UNCORRECTABLE, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
};

const Named* named(int code) {
  for (const Named& error : ERRORS)
    if (error.code == code) return &error;
  return nullptr;
}

/** Whether a context is unusable after an error. */
bool losesContext(int code) { return code == ECC_UNCORRECTABLE || code == ILLEGAL_ADDRESS || code == LAUNCH_FAILED; }

int lost = SUCCESS;
bool initialized = false;

/** The fault to inject. */
struct Fault {
  std::string function;
  int code = SUCCESS;
  long calls = 0;

  Fault() {
    if (const char* given = std::getenv("DAG_CUDA_EMULATOR_FAIL")) set(given);
  }
  void set(const std::string& given) {
    const size_t first = given.find(':'), second = given.find(':', first + 1);
    function = given.substr(0, first);
    code = first == std::string::npos ? SUCCESS : std::atoi(given.c_str() + first + 1);
    calls = second == std::string::npos ? 0 : std::atol(given.c_str() + second + 1);
  }
};
Fault fault;

/** The error that an API function returns at its start: not initialised, a lost context, or an injected fault. */
int begin(const char* function) {
  if (!initialized && std::strcmp(function, "cuInit") != 0 && std::strcmp(function, "cuDriverGetVersion") != 0)
    return NOT_INITIALIZED;
  if (lost != SUCCESS) return lost;
  if (fault.code == SUCCESS || fault.function != function || fault.calls-- > 0) return SUCCESS;
  const int code = fault.code;
  if (losesContext(code)) lost = code;
  else fault.code = SUCCESS;
  return code;
}
#define BEGIN                                           \
  if (const int code = begin(__func__); code != SUCCESS) \
  return code

size_t capacity() {
  const char* given = std::getenv("DAG_CUDA_EMULATOR_MEMORY");
  return given ? std::strtoull(given, nullptr, 10) : size_t{4} << 30;
}

std::map<char*, size_t> blocks, hostBlocks;
size_t used = 0;

/** Whether `bytes` from `address` on are within one block of device memory. */
bool isDevice(unsigned long long address, size_t bytes) {
  char* const at = reinterpret_cast<char*>(address);
  auto after = blocks.upper_bound(at);
  if (after == blocks.begin()) return bytes == 0;
  const auto& [first, size] = *--after;
  return at + bytes <= first + size;
}

/** Prints the reason of a fault, for which a device would only return a code. */
int fail(int code, const char* why) {
  std::fprintf(stderr, "CUDA emulator: %s\n", why);
  if (losesContext(code)) lost = code;
  return code;
}

/** Queued work that has not been executed, in order. */
std::vector<std::function<int()>> queue;

/** Executes the queue; returns the first error. */
int finish() {
  std::vector<std::function<int()>> work;
  work.swap(queue);
  for (const auto& each : work)
    if (const int code = each(); code != SUCCESS) return code;
  return SUCCESS;
}

struct Graph {
  std::vector<std::function<int()>> work;
};
/** An executable graph. */
struct Executable {
  std::vector<std::function<int()>> work;
};
enum Mode { GLOBAL, THREAD_LOCAL, RELAXED };
struct Stream {
  Graph* capturing = nullptr;
  int mode = GLOBAL;
  bool invalidated = false;
};
/** The stream that is being captured. */
Stream* captured = nullptr;

/** For functions that are not allowed during capture: invalidates the capture and returns the error. */
int refuseCapture() {
  if (!captured) return SUCCESS;
  captured->invalidated = true;
  return STREAM_CAPTURE_UNSUPPORTED;
}
/** For functions that are allowed during capture only in relaxed mode. */
int refuseStrictCapture() { return captured && captured->mode != RELAXED ? refuseCapture() : SUCCESS; }
#define NOT_CAPTURED                                  \
  if (const int code = refuseCapture(); code != SUCCESS) \
  return code
#define RELAXED_AT_MOST                                  \
  if (const int code = refuseStrictCapture(); code != SUCCESS) \
  return code

/** Numbers of kernel launches outside graphs, of graph launches, and of graphs not destroyed yet. */
long kernelLaunches = 0, graphLaunches = 0, graphs = 0;
struct Event {
  bool asked = false;
};
struct Module {
  std::string name;
};

int submit(void* stream, std::function<int()> work) {
  Stream* const s = static_cast<Stream*>(stream);
  if (!s || !s->capturing) {
    queue.push_back(std::move(work));
    return SUCCESS;
  }
  if (s->invalidated) return STREAM_CAPTURE_INVALIDATED;
  s->capturing->work.push_back(std::move(work));
  return SUCCESS;
}

}  // namespace

int emulator::begin(const char* function) { return ::begin(function); }
bool emulator::isDevice(unsigned long long address, size_t bytes) { return ::isDevice(address, bytes); }
int emulator::submit(void* stream, std::function<int()> work) { return ::submit(stream, std::move(work)); }

// For tests: allocated device bytes, the fault to inject, and the order of threads.
extern "C" __attribute__((visibility("default"))) double dagEmulatorUsed() { return static_cast<double>(used); }
extern "C" __attribute__((visibility("default"))) void dagEmulatorFail(const char* given) {
  lost = SUCCESS;
  fault.set(given);
}

// Counts: 0 kernel launches outside graphs, 1 graph launches, 2 existing graphs and executable graphs.
extern "C" __attribute__((visibility("default"))) double dagEmulatorCount(int which) {
  return static_cast<double>(which == 0 ? kernelLaunches : which == 1 ? graphLaunches : graphs);
}

extern "C" __attribute__((visibility("default"))) void dagEmulatorOrder(const char* given) {
  emulator::setOrder(given);
}

API cuInit(unsigned) {
  BEGIN;
  initialized = true;
  return SUCCESS;
}
API cuDriverGetVersion(int* version) {
  BEGIN;
  const char* given = std::getenv("DAG_CUDA_EMULATOR_VERSION");
  *version = given ? std::atoi(given) : 13000;
  return SUCCESS;
}
API cuGetErrorName(int code, const char** name) {
  const Named* error = named(code);
  *name = error ? error->name : nullptr;
  return error ? SUCCESS : INVALID_VALUE;
}
API cuGetErrorString(int code, const char** text) {
  const Named* error = named(code);
  *text = error ? error->text : nullptr;
  return error ? SUCCESS : INVALID_VALUE;
}

static int devices() {
  const char* given = std::getenv("DAG_CUDA_EMULATOR_DEVICES");
  return given ? std::atoi(given) : 1;
}
API cuDeviceGetCount(int* count) {
  BEGIN;
  *count = devices();
  return SUCCESS;
}
API cuDeviceGet(int* device, int ordinal) {
  BEGIN;
  if (ordinal < 0 || ordinal >= devices()) return INVALID_DEVICE;
  *device = ordinal;
  return SUCCESS;
}
API cuDeviceGetName(char* name, int length, int) {
  BEGIN;
  std::snprintf(name, length, "emulated on the CPU");
  return SUCCESS;
}
API cuDeviceGetAttribute(int* value, int attribute, int) {
  BEGIN;
  switch (attribute) {
    case 13: *value = 1'000'000; return SUCCESS;  // clock rate in kHz
    case 16: *value = 2; return SUCCESS;          // multiprocessors
    case 75: *value = 9; return SUCCESS;          // compute capability
    case 76: *value = 0; return SUCCESS;
    case 97: *value = 227 << 10; return SUCCESS;  // opt-in maximum of shared memory per block
    default: return INVALID_VALUE;
  }
}
API cuDevicePrimaryCtxRetain(void** context, int) {
  BEGIN;
  *context = &initialized;
  return SUCCESS;
}
API cuCtxSetCurrent(void* context) {
  BEGIN;
  return context == &initialized ? SUCCESS : INVALID_CONTEXT;
}

API cuModuleLoadData(void** module, const void* image) {
  BEGIN;
  // The build of the emulator writes this text in place of machine code.
  static const char MAGIC[] = "dag emulated module ";
  const char* const text = static_cast<const char*>(image);
  if (std::memcmp(text, MAGIC, sizeof MAGIC - 1) != 0) return INVALID_IMAGE;
  *module = new Module{text + sizeof MAGIC - 1};
  return SUCCESS;
}
API cuModuleGetFunction(void** function, void*, const char* name) {
  BEGIN;
  const emulator::Entry* entry = emulator::find(name);
  if (!entry) return NOT_FOUND;
  *function = const_cast<emulator::Entry*>(entry);
  return SUCCESS;
}
/** Opt-in limit of dynamic shared memory per kernel. */
static std::map<void*, int> sharedAllowed;
API cuFuncSetAttribute(void* function, int attribute, int value) {
  BEGIN;
  if (!function || attribute != 8 || value > 227 << 10) return INVALID_VALUE;
  sharedAllowed[function] = value;
  return SUCCESS;
}

/** Matrices of TF32 or bf16 in tiles with 128-byte swizzle alone, with what cuda.h says of their sizes and addresses. */
API cuTensorMapEncodeTiled(TensorMap* map, int type, unsigned rank, void* from, const long long* sizes,
                           const long long* strides, const unsigned* box, const unsigned* steps, int interleave,
                           int swizzle, int promotion, int fill) {
  BEGIN;
  constexpr int BFLOAT16 = 9, TFLOAT32 = 11, SWIZZLE_128B = 3, L2_256B = 3;
  const unsigned bytes = type == BFLOAT16 ? 2 : 4;
  if ((type != BFLOAT16 && type != TFLOAT32) || rank != 3 || interleave != 0 || swizzle != SWIZZLE_128B || fill != 0 ||
      promotion < 0 || promotion > L2_256B || reinterpret_cast<uintptr_t>(map) % alignof(TensorMap) != 0 ||
      reinterpret_cast<uintptr_t>(from) % 16 != 0 || box[0] * bytes > 128 || box[2] != 1)
    return INVALID_VALUE;
  for (unsigned i = 0; i < rank; i++)
    if (sizes[i] < 1 || sizes[i] > 1LL << 32 || box[i] < 1 || box[i] > 256 || steps[i] != 1) return INVALID_VALUE;
  for (unsigned i = 0; i + 1 < rank; i++)
    if (strides[i] % 16 != 0 || strides[i] >= 1LL << 40) return INVALID_VALUE;
  if (strides[0] < sizes[0] * bytes || strides[1] < sizes[1] * strides[0]) return INVALID_VALUE;
  const size_t all = (sizes[2] - 1) * strides[1] + (sizes[1] - 1) * strides[0] + sizes[0] * bytes;
  if (!isDevice(reinterpret_cast<unsigned long long>(from), all)) return INVALID_VALUE;
  *map = {static_cast<const char*>(from), {sizes[0], sizes[1], sizes[2]}, {strides[0], strides[1]},
          {box[0], box[1]}, bytes, type == TFLOAT32};
  return SUCCESS;
}

API cuMemAlloc_v2(unsigned long long* address, size_t bytes) {
  BEGIN;
  RELAXED_AT_MOST;
  if (bytes == 0) return INVALID_VALUE;
  if (used + bytes > capacity()) return OUT_OF_MEMORY;
  char* const block = static_cast<char*>(std::malloc(bytes));
  if (!block) return OUT_OF_MEMORY;
  // NaN in both precisions, to reveal reads of memory that was never written.
  std::memset(block, 0xff, bytes);
  blocks[block] = bytes;
  used += bytes;
  *address = reinterpret_cast<unsigned long long>(block);
  return SUCCESS;
}
API cuMemFree_v2(unsigned long long address) {
  BEGIN;
  RELAXED_AT_MOST;
  if (const int code = finish(); code != SUCCESS) return code;
  const auto found = blocks.find(reinterpret_cast<char*>(address));
  if (found == blocks.end()) return INVALID_VALUE;
  used -= found->second;
  std::free(found->first);
  blocks.erase(found);
  return SUCCESS;
}
API cuMemGetInfo_v2(size_t* free, size_t* total) {
  BEGIN;
  *total = capacity();
  *free = *total - used;
  return SUCCESS;
}
API cuMemHostAlloc(void** address, size_t bytes, unsigned) {
  BEGIN;
  RELAXED_AT_MOST;
  *address = std::malloc(bytes);
  return *address ? SUCCESS : OUT_OF_MEMORY;
}
API cuMemFreeHost(void* address) {
  BEGIN;
  std::free(address);
  return SUCCESS;
}
API cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, size_t bytes, void* stream) {
  BEGIN;
  return submit(stream, [=] {
    if (!isDevice(to, bytes)) return fail(ILLEGAL_ADDRESS, "a copy to memory that is not the device's");
    std::memcpy(reinterpret_cast<void*>(to), from, bytes);
    return static_cast<int>(SUCCESS);
  });
}
API cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, size_t bytes, void* stream) {
  BEGIN;
  return submit(stream, [=] {
    if (!isDevice(from, bytes)) return fail(ILLEGAL_ADDRESS, "a copy from memory that is not the device's");
    std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
    return static_cast<int>(SUCCESS);
  });
}
API cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from, size_t bytes, void* stream) {
  BEGIN;
  return submit(stream, [=] {
    if (!isDevice(to, bytes) || !isDevice(from, bytes))
      return fail(ILLEGAL_ADDRESS, "a copy of memory that is not the device's");
    std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
    return static_cast<int>(SUCCESS);
  });
}

API cuStreamCreate(void** stream, unsigned) {
  BEGIN;
  *stream = new Stream;
  return SUCCESS;
}
API cuStreamSynchronize(void*) {
  BEGIN;
  NOT_CAPTURED;
  return finish();
}
API cuStreamBeginCapture_v2(void* stream, int mode) {
  BEGIN;
  if (captured || mode < GLOBAL || mode > RELAXED) return INVALID_VALUE;
  captured = static_cast<Stream*>(stream);
  *captured = {new Graph, mode, false};
  graphs++;
  return SUCCESS;
}
API cuStreamEndCapture(void* stream, void** graph) {
  Stream* const s = static_cast<Stream*>(stream);
  Graph* const made = s->capturing;
  if (!made) return INVALID_VALUE;
  // Capture ends even if this returns an error.
  const int fault = begin(__func__);
  const int code = fault != SUCCESS ? fault : s->invalidated ? STREAM_CAPTURE_INVALIDATED : SUCCESS;
  *s = Stream();
  captured = nullptr;
  *graph = code == SUCCESS ? made : nullptr;
  if (code == SUCCESS) return SUCCESS;
  delete made;
  graphs--;
  return code;
}
API cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
  BEGIN;
  *executable = new Executable{static_cast<Graph*>(graph)->work};
  graphs++;
  return SUCCESS;
}
API cuGraphLaunch(void* executable, void*) {
  BEGIN;
  NOT_CAPTURED;
  graphLaunches++;
  const auto& work = static_cast<Executable*>(executable)->work;
  queue.insert(queue.end(), work.begin(), work.end());
  return SUCCESS;
}
API cuGraphExecDestroy(void* executable) {
  BEGIN;
  graphs--;
  delete static_cast<Executable*>(executable);
  return SUCCESS;
}
API cuGraphDestroy(void* graph) {
  BEGIN;
  graphs--;
  delete static_cast<Graph*>(graph);
  return SUCCESS;
}

API cuEventCreate(void** event, unsigned) {
  BEGIN;
  *event = new Event;
  return SUCCESS;
}
API cuEventRecord(void* event, void*) {
  BEGIN;
  static_cast<Event*>(event)->asked = false;
  return SUCCESS;
}
API cuEventQuery(void* event) {
  BEGIN;
  RELAXED_AT_MOST;
  Event* const e = static_cast<Event*>(event);
  if (e->asked) return finish();
  e->asked = true;
  return NOT_READY;
}
API cuEventSynchronize(void*) {
  BEGIN;
  RELAXED_AT_MOST;
  return finish();
}
API cuEventDestroy_v2(void* event) {
  BEGIN;
  delete static_cast<Event*>(event);
  return SUCCESS;
}

API cuLaunchKernel(void* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                   unsigned blockZ, unsigned sharedBytes, void* stream, void** parameters, void**) {
  BEGIN;
  const emulator::Entry* const entry = static_cast<emulator::Entry*>(function);
  const unsigned threads = blockX * blockY * blockZ;
  const bool fits = gridX > 0 && gridY > 0 && gridZ > 0 && gridY <= 65535 && gridZ <= 65535;
  if (!entry || !fits || threads == 0 || threads > entry->maxThreads) return INVALID_VALUE;
  const auto allowed = sharedAllowed.find(function);
  if (sharedBytes > static_cast<unsigned>(allowed == sharedAllowed.end() ? 48 << 10 : allowed->second))
    return INVALID_VALUE;
  const emulator::Dim grid{gridX, gridY, gridZ}, block{blockX, blockY, blockZ};
  const emulator::Launch launch{entry->kernel(parameters), grid, block, sharedBytes};
  if (!captured) kernelLaunches++;
  return submit(stream, [launch, entry] {
    const char* const problem = emulator::run(launch);
    if (!problem) return static_cast<int>(SUCCESS);
    return fail(LAUNCH_FAILED, (std::string(entry->name) + ": " + problem).c_str());
  });
}
