// Properties of the processor, queried once when the library is loaded.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "exports.h"
#include "sanitizer.h"

#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

/** The widest variant of the kernels that this processor runs. */
DAG_EXPORT const char* dag_variant(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return "avx512";
  if (avx2) return "avx2";
#endif
  return "baseline";
}

/** Physical cores that this process may run on. */
DAG_EXPORT int32_t dag_physical_cores(void) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  int cores = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    // Count each core once, at its first hardware thread.
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    int first = cpu;
    if (FILE* file = fopen(path, "r")) {
      if (fscanf(file, "%d", &first) != 1) first = cpu;
      fclose(file);
    }
    if (first == cpu || !CPU_ISSET(first, &allowed)) cores++;
  }
  return cores < 1 ? 1 : cores;
#elif defined(__APPLE__)
  int32_t cores = 1;
  size_t size = sizeof cores;
  // Performance cores only: work is divided evenly and would wait for slower cores.
  if (sysctlbyname("hw.perflevel0.physicalcpu", &cores, &size, nullptr, 0) != 0)
    sysctlbyname("hw.physicalcpu", &cores, &size, nullptr, 0);
  return cores;
#else
  return 1;
#endif
}

/**
 * Bytes from `memory` to the next cache line, where an array of `bytes` begins. The memory has one cache line more than `bytes`.
 * Requests huge pages if the array is large enough to benefit.
 */
DAG_EXPORT int32_t dag_place(void* memory, double bytes) {
  constexpr uintptr_t CACHE_LINE = 64;
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t begin = (CACHE_LINE - address % CACHE_LINE) % CACHE_LINE;
#if defined(__linux__)
  constexpr uintptr_t HUGE_PAGE = uintptr_t{1} << 21;
  const uintptr_t first = (address + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
  const uintptr_t last = (address + static_cast<uintptr_t>(bytes)) & ~(HUGE_PAGE - 1);
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
  // The unused parts of that extra cache line, before and after the array.
  forbid(memory, begin);
  forbid(static_cast<char*>(memory) + begin + static_cast<size_t>(bytes), CACHE_LINE - begin);
  return static_cast<int32_t>(begin);
}
