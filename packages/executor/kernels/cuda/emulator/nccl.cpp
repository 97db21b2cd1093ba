// The functions of NCCL that the backend calls (NCCL API reference), between processes of one machine over a file of shared
// memory: a sum is queued like a kernel, and executed once all ranks have come to it. A rank that does not come within two
// minutes is an error.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "driver.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {

enum Result { SUCCESS = 0, SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4 };
enum Type { I32 = 2, F32 = 7, F64 = 8 };
constexpr int SUM = 0;
/** CUDA_ERROR_LAUNCH_FAILED and CUDA_ERROR_ILLEGAL_ADDRESS. */
constexpr int LAUNCH_FAILED = 719, ILLEGAL_ADDRESS = 700;
/** Bytes of the part of a sum that each rank shows the others at a time. */
constexpr size_t PART = 1 << 18;
constexpr std::chrono::minutes PATIENCE{2};

struct Id {
  char bytes[128];
};

/** The beginning of the shared file; the parts of the ranks follow. */
struct Shared {
  std::atomic<int> arrived, turn;
};

struct Communicator {
  Shared* shared;
  size_t bytes;
  int rank, size;

  char* part(int of) const { return reinterpret_cast<char*>(shared) + 4096 + of * PART; }
  /** Waits until all ranks have come here. */
  bool meet() const {
    const int turn = shared->turn.load();
    if (shared->arrived.fetch_add(1) + 1 == size) {
      shared->arrived = 0;
      shared->turn++;
      return true;
    }
    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    while (shared->turn.load() == turn) {
      if (std::chrono::steady_clock::now() > end) return false;
      sched_yield();
    }
    return true;
  }
};

/** The numbers of all ranks in their order, so that each has the same bits. */
template <typename T>
void sumParts(const Communicator& of, T* to, size_t count) {
  for (size_t i = 0; i < count; i++) {
    T sum = reinterpret_cast<const T*>(of.part(0))[i];
    for (int rank = 1; rank < of.size; rank++) sum += reinterpret_cast<const T*>(of.part(rank))[i];
    to[i] = sum;
  }
}

bool sumAll(const Communicator& of, const char* from, char* to, size_t bytes, int type) {
  for (size_t at = 0; at < bytes; at += PART) {
    const size_t n = bytes - at < PART ? bytes - at : PART;
    std::memcpy(of.part(of.rank), from + at, n);
    if (!of.meet()) return false;
    if (type == I32) sumParts(of, reinterpret_cast<int32_t*>(to + at), n / sizeof(int32_t));
    else if (type == F32) sumParts(of, reinterpret_cast<float*>(to + at), n / sizeof(float));
    else sumParts(of, reinterpret_cast<double*>(to + at), n / sizeof(double));
    if (!of.meet()) return false;
  }
  return true;
}

}  // namespace

#define BEGIN                                                     \
  if (const int code = emulator::begin(__func__); code != SUCCESS) \
  return code

API const char* ncclGetErrorString(int code) {
  return code == SUCCESS ? "no error" : code == INVALID_ARGUMENT ? "invalid argument" : "unhandled system error";
}
API int ncclGetVersion(int* version) {
  BEGIN;
  *version = 22703;
  return SUCCESS;
}
API int ncclGetUniqueId(Id* id) {
  BEGIN;
  static int made = 0;
  const long long now = std::chrono::system_clock::now().time_since_epoch().count();
  std::memset(id, 0, sizeof *id);
  std::snprintf(id->bytes, sizeof id->bytes, "/dev/shm/dag-nccl-%d-%d-%lld", getpid(), made++, now);
  return SUCCESS;
}
API int ncclCommInitRank(Communicator** communicator, int size, Id id, int rank) {
  BEGIN;
  if (size < 1 || rank < 0 || rank >= size || !std::memchr(id.bytes, 0, sizeof id.bytes)) return INVALID_ARGUMENT;
  const size_t bytes = 4096 + size * PART;
  const int file = open(id.bytes, O_CREAT | O_RDWR, 0600);
  if (file < 0) return SYSTEM_ERROR;
  const bool fits = ftruncate(file, bytes) == 0;
  void* const memory = fits ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  close(file);
  if (memory == MAP_FAILED) return SYSTEM_ERROR;
  *communicator = new Communicator{static_cast<Shared*>(memory), bytes, rank, size};
  const bool met = (*communicator)->meet();
  unlink(id.bytes);
  return met ? SUCCESS : SYSTEM_ERROR;
}
API int ncclGroupStart() {
  BEGIN;
  return SUCCESS;
}
API int ncclGroupEnd() {
  BEGIN;
  return SUCCESS;
}
API int ncclAllReduce(const char* from, char* to, size_t count, int type, int operation, Communicator* of,
                      void* stream) {
  BEGIN;
  if (operation != SUM || (type != I32 && type != F32 && type != F64)) return INVALID_ARGUMENT;
  const size_t bytes = count * (type == F64 ? sizeof(double) : sizeof(float));
  return emulator::submit(stream, [=] {
    for (const char* address : {from, static_cast<const char*>(to)})
      if (!emulator::isDevice(reinterpret_cast<unsigned long long>(address), bytes)) return ILLEGAL_ADDRESS;
    return sumAll(*of, from, to, bytes, type) ? 0 : LAUNCH_FAILED;
  });
}
API int ncclCommDestroy(Communicator* of) {
  BEGIN;
  munmap(of->shared, of->bytes);
  delete of;
  return SUCCESS;
}
