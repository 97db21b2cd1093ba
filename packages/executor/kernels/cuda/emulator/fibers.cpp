#include "fibers.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

emulator::Dim threadIdx, blockIdx, blockDim, gridDim;

// Bounds of the section of __shared__ variables, defined by the linker.
extern char __start_dag_shared[] __attribute__((weak));
extern char __stop_dag_shared[] __attribute__((weak));

namespace emulator {
namespace {

constexpr size_t STACK = 256 << 10;
/** How much later each stack begins than the one before: all at a multiple of a page would compete for the same lines of the caches. */
constexpr size_t APART = 9 * 64;
constexpr int WARP_SIZE = 32;
constexpr unsigned MOST_THREADS = 2048;

#if defined(__x86_64__)
/** The stack pointer of a suspended fiber; where it goes on is on its stack. */
struct Context {
  void* stack = nullptr;
};

/** Jumps, where a function for it would return: processors predict that a return goes to the last call, which is another fiber's. */
inline __attribute__((always_inline)) void switchTo(Context& from, Context& to) {
  void** save = &from.stack;
  void* load = to.stack;
  // Below the stack pointer may be variables (128 bytes, the red zone).
  asm volatile(
      "lea -128(%%rsp), %%rsp\n"
      "push %%rbp\n"
      "push %%rbx\n"
      "lea 1f(%%rip), %%rax\n"
      "push %%rax\n"
      "mov %%rsp, (%0)\n"
      "mov %1, %%rsp\n"
      "pop %%rax\n"
      "jmp *%%rax\n"
      "1: pop %%rbx\n"
      "pop %%rbp\n"
      "lea 128(%%rsp), %%rsp\n"
      : "+D"(save), "+S"(load)
      :
      : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
        "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}

void prepare(Context& context, char* end, void (*entry)()) {
  void** top = reinterpret_cast<void**>(end);
  // At function entry the stack has the return address, and is aligned to 16 bytes above it.
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  context.stack = top;
}
#else
struct Context {
  ucontext_t of;
};

void switchTo(Context& from, Context& to) { swapcontext(&from.of, &to.of); }

void prepare(Context& context, char* end, void (*entry)()) {
  getcontext(&context.of);
  context.of.uc_stack.ss_sp = end - STACK / 2;
  context.of.uc_stack.ss_size = STACK / 2;
  context.of.uc_link = nullptr;
  makecontext(&context.of, entry, 0);
}
#endif

enum class State : uint8_t { ready, atBlock, atWarp, atBarrier, done };

struct Fiber {
  char* stack = nullptr;
  Context context;
  Dim thread;
  /** The barrier and parity that it waits for in state `atBarrier`. */
  const Barrier* barrier = nullptr;
  uint32_t parity = 0;
  /** Products that it has started, in groups; the last group is not committed yet. */
  std::deque<std::vector<std::function<void()>>> products = {{}};
  /** Copies that it has begun and not waited for. */
  struct Copy {
    void* to;
    const void* from;
    size_t bytes;
  };
  std::vector<Copy> copies;
  /** AddressSanitizer's fake stack of a suspended fiber. */
  void* fake = nullptr;
};

/** By index in the block. */
Fiber fibers[MOST_THREADS];
Context scheduler;
#if defined(__SANITIZE_ADDRESS__)
void* schedulerFake = nullptr;
const void* schedulerStack = nullptr;
size_t schedulerSize = 0;
#endif
/** Of each fiber, close together: the scheduler reads all of them in every round. */
State states[MOST_THREADS];
/** How many fibers of the block wait in each state, and how many of each warp for their warp. */
unsigned waiting[5], waitingOfWarp[MOST_THREADS / WARP_SIZE];
unsigned current = 0;

unsigned& countOf(State state) { return waiting[static_cast<int>(state)]; }

const Launch* launched = nullptr;
/**
 * Dynamic shared memory, aligned to 1024 bytes (DAG_CUDA_EMULATOR_SHARED_AT: so many bytes later) and of the exact size, so that accesses
 * beyond it are detected.
 */
struct Dynamic {
  /** What threads see, and what products see: the writes of threads only once these are shown. */
  char *data = nullptr, *seen = nullptr;
  size_t size = 0;

  void resize(size_t bytes) {
    data = made(data, bytes);
    seen = made(seen, bytes);
    size = bytes;
  }
  static char* made(char* before, size_t bytes) {
    const char* const given = std::getenv("DAG_CUDA_EMULATOR_SHARED_AT");
    const size_t at = given ? std::atoi(given) : 0;
    if (before) std::free(before - at);
    void* memory = nullptr;
    if (bytes == 0) return nullptr;
    if (posix_memalign(&memory, 1024, at + bytes) != 0) std::abort();
    return static_cast<char*>(memory) + at;
  }
} dynamic;
/** A copy that was started. */
struct Copy {
  char* to;
  uint32_t bytes;
  Barrier* barrier;
  std::function<void(char*)> read;
};
std::deque<Copy> copies;
alignas(64) char exchanged[MOST_THREADS / WARP_SIZE][WARP_SIZE][EXCHANGE_BYTES];
std::string problem;

void enter(unsigned index) {
  Fiber& fiber = fibers[index];
  current = index;
  threadIdx = fiber.thread;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&schedulerFake, fiber.stack, STACK);
#endif
  switchTo(scheduler, fiber.context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(schedulerFake, nullptr, nullptr);
#endif
}

void leave(State state) {
  Fiber& fiber = fibers[current];
  states[current] = state;
  countOf(state)++;
  if (state == State::atWarp) waitingOfWarp[current / WARP_SIZE]++;
#if defined(__SANITIZE_ADDRESS__)
  // A finished fiber's fake stack is released.
  __sanitizer_start_switch_fiber(state == State::done ? nullptr : &fiber.fake, schedulerStack, schedulerSize);
#endif
  switchTo(fiber.context, scheduler);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fiber.fake, &schedulerStack, &schedulerSize);
#endif
}

void body() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &schedulerStack, &schedulerSize);
#endif
  for (;;) {
    launched->call();
    leave(State::done);
  }
}

unsigned threadsOf(const Dim& d) { return d.x * d.y * d.z; }

/** The order of threads set by `DAG_CUDA_EMULATOR_ORDER` or by setOrder. */
std::string asked = std::getenv("DAG_CUDA_EMULATOR_ORDER") ? std::getenv("DAG_CUDA_EMULATOR_ORDER") : "";

/** The order in which ready fibers run: `forward`, `reverse`, or random each time, with the number after `shuffle` as seed. */
class Order {
 public:
  Order() {
    const char* given = asked.c_str();
    reverse = asked == "reverse";
    if (std::strncmp(given, "shuffle", 7) == 0) state = 0x9e3779b9u + static_cast<unsigned>(std::atoi(given + 7));
  }

  void arrange(std::vector<unsigned>& indices) {
    const unsigned n = static_cast<unsigned>(indices.size());
    for (unsigned i = 0; i < n; i++) indices[i] = reverse ? n - 1 - i : i;
    if (state == 0) return;
    for (unsigned i = n; i > 1; i--) std::swap(indices[i - 1], indices[draw() % i]);
  }

 private:
  bool reverse = false;
  unsigned state = 0;

  unsigned draw() {
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
  }
};

__attribute__((no_sanitize("address"))) void forgetShared() {
  // Not memset, which AddressSanitizer would check: this also writes the bytes between variables.
  for (volatile char* at = __start_dag_shared; at < __stop_dag_shared; at++) *at = static_cast<char>(0xff);
  for (char* const memory : {dynamic.data, dynamic.seen})
    if (memory) std::memset(memory, 0xff, dynamic.size);
}

bool hasEnded(const Barrier& barrier, uint32_t parity) { return barrier.phase != parity; }

void endPhase(Barrier& barrier) {
  if (barrier.missing > 0 || barrier.bytes != 0) return;
  barrier.phase ^= 1;
  barrier.missing = barrier.arrivals;
}

void finish(const Copy& copy) {
  copy.read(copy.to);
  std::memcpy(dynamic.seen + (copy.to - dynamic.data), copy.to, copy.bytes);
  copy.barrier->bytes -= static_cast<int32_t>(copy.bytes);
  endPhase(*copy.barrier);
}

/** Executes the oldest started copy; returns whether there was one. */
bool finishCopy() {
  if (copies.empty()) return false;
  finish(copies.front());
  copies.pop_front();
  return true;
}

void makeReady(unsigned begin, unsigned end) { std::fill(states + begin, states + end, State::ready); }

/** Makes fibers ready whose barrier all have reached, or whose phase has completed; returns whether there are any. */
bool release(unsigned threads) {
  if (countOf(State::atBlock) == threads) {
    makeReady(0, threads);
    countOf(State::atBlock) = 0;
    return true;
  }
  bool any = false;
  for (unsigned i = 0; i < threads && countOf(State::atBarrier) > 0; i++)
    if (states[i] == State::atBarrier && hasEnded(*fibers[i].barrier, fibers[i].parity)) {
      makeReady(i, i + 1);
      countOf(State::atBarrier)--;
      any = true;
    }
  for (unsigned begin = 0; begin < threads; begin += WARP_SIZE) {
    const unsigned end = begin + WARP_SIZE < threads ? begin + WARP_SIZE : threads;
    unsigned& ofWarp = waitingOfWarp[begin / WARP_SIZE];
    if (ofWarp < end - begin) continue;
    makeReady(begin, end);
    countOf(State::atWarp) -= ofWarp;
    ofWarp = 0;
    any = true;
  }
  return any;
}

bool runBlock(unsigned threads, Order& order, std::vector<unsigned>& indices) {
  makeReady(0, threads);
  std::memset(waiting, 0, sizeof waiting);
  std::memset(waitingOfWarp, 0, sizeof waitingOfWarp);
  forgetShared();
  for (;;) {
    order.arrange(indices);
    for (const unsigned i : indices)
      if (states[i] == State::ready) enter(i);
    if (countOf(State::done) == threads) {
      bool left = !copies.empty();
      for (unsigned i = 0; i < threads; i++)
        left |= fibers[i].products.size() > 1 || !fibers[i].products[0].empty() || !fibers[i].copies.empty();
      if (left) problem = "a copy to shared memory or a product that was not waited for";
      return !left;
    }
    if (release(threads) || finishCopy()) continue;
    const auto said = [](State state) { return std::to_string(countOf(state)); };
    problem = "a barrier that not all threads reach: of " + std::to_string(threads) + " threads of a block " +
              said(State::atBlock) + " wait for the block, " + said(State::atWarp) + " for their warp, " +
              said(State::atBarrier) + " for a phase of a barrier, " + said(State::done) + " have ended";
    return false;
  }
}

std::vector<Entry>& entries() {
  static std::vector<Entry> all;
  return all;
}

}  // namespace

Registered::Registered(const char* name, unsigned maxThreads, Kernel kernel) {
  entries().push_back({name, maxThreads, kernel});
}

const Entry* find(const char* name) {
  for (const Entry& entry : entries())
    if (std::strcmp(entry.name, name) == 0) return &entry;
  return nullptr;
}

void* dynamicShared() { return dynamic.data; }
int lane() { return static_cast<int>(threadIdx.x % WARP_SIZE); }
void* exchange(int lane) { return exchanged[threadIdx.x / WARP_SIZE][lane]; }
void syncBlock() { leave(State::atBlock); }
void syncWarp() { leave(State::atWarp); }

void initBarrier(Barrier* barrier, int arrivals) {
  *barrier = {static_cast<uint16_t>(arrivals), static_cast<uint16_t>(arrivals), 0, 0};
}

void arrive(Barrier* barrier, uint32_t bytes) {
  barrier->missing--;
  barrier->bytes += static_cast<int32_t>(bytes);
  endPhase(*barrier);
}

void waitFor(const Barrier* barrier, uint32_t parity) {
  if (hasEnded(*barrier, parity)) return;
  fibers[current].barrier = barrier;
  fibers[current].parity = parity;
  leave(State::atBarrier);
}

void copyLater(void* to, uint32_t bytes, Barrier* barrier, std::function<void(char* to)> read) {
  Copy copy{static_cast<char*>(to), bytes, barrier, std::move(read)};
  if (asked == "reverse") finish(copy);
  else copies.push_back(std::move(copy));
}

void copyLater(void* to, const void* from, size_t bytes) {
  fibers[current].copies.push_back({to, from, bytes});
  if (asked == "reverse") waitCopies();
}
void waitCopies() {
  for (const auto& [to, from, bytes] : fibers[current].copies)
    if (from) std::memcpy(to, from, bytes);
    else std::memset(to, 0, bytes);
  fibers[current].copies.clear();
}

void showWrites() { std::memcpy(dynamic.seen, dynamic.data, dynamic.size); }
const char* seenByProducts(const void* address) {
  return dynamic.seen + (static_cast<const char*>(address) - dynamic.data);
}

void beginProduct(std::function<void()> product) { fibers[current].products.back().push_back(std::move(product)); }
void commitProducts() { fibers[current].products.emplace_back(); }
void waitProducts(size_t left) {
  for (auto& products = fibers[current].products; products.size() > left + 1; products.pop_front())
    for (const auto& product : products.front()) product();
}

void setOrder(const char* given) { asked = given; }

const char* run(const Launch& launch) {
  const unsigned threads = threadsOf(launch.block);
  launched = &launch;
  blockDim = launch.block;
  gridDim = launch.grid;
  dynamic.resize(launch.sharedBytes);
  for (unsigned i = 0; i < threads; i++) {
    Fiber& fiber = fibers[i];
    if (fiber.stack && states[i] == State::done) {
      // It waits for another kernel.
    } else {
      if (!fiber.stack)
        fiber.stack = static_cast<char*>(mmap(nullptr, STACK, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
      prepare(fiber.context, fiber.stack + STACK - i * APART % (STACK / 4), body);
    }
    fiber.thread = {i % launch.block.x, i / launch.block.x % launch.block.y, i / launch.block.x / launch.block.y};
  }
  Order order;
  std::vector<unsigned> indices(threads);
  const unsigned blocks = threadsOf(launch.grid);
  std::vector<unsigned> blockOrder(blocks);
  order.arrange(blockOrder);
  problem.clear();
  for (const unsigned b : blockOrder) {
    blockIdx = {b % launch.grid.x, b / launch.grid.x % launch.grid.y, b / launch.grid.x / launch.grid.y};
    if (!runBlock(threads, order, indices)) {
      // Discard fibers in the middle of a kernel.
      for (Fiber& fiber : fibers) fiber = Fiber();
      makeReady(0, MOST_THREADS);
      copies.clear();
      return problem.c_str();
    }
  }
  return nullptr;
}

}  // namespace emulator
