// Marks allocated memory that no kernel may touch, for AddressSanitizer if it is compiled in.
#pragma once
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __asan_poison_memory_region(const volatile void* begin, size_t bytes);
extern "C" void __asan_unpoison_memory_region(const volatile void* begin, size_t bytes);
#endif

namespace {

inline void forbid(const void* begin, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(begin, bytes);
#else
  (void)begin, (void)bytes;
#endif
}

inline void permit(const void* begin, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(begin, bytes);
#else
  (void)begin, (void)bytes;
#endif
}

}  // namespace
