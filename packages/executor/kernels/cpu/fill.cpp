#include "runtime/pool.h"
#include "simd.h"

namespace {

/** Elements that one thread takes at a time where a kernel is bound by memory. */
constexpr i64 GRAIN = 1 << 15;

template <typename T>
void fill(T* y, i64 n, T value) {
  parallelRanges(n, GRAIN, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; i++) y[i] = value;
  });
}

}  // namespace

DAG_KERNEL(fill_f32)(f32* y, i64 n, f64 value) { fill(y, n, static_cast<f32>(value)); }
DAG_KERNEL(fill_f64)(f64* y, i64 n, f64 value) { fill(y, n, value); }
