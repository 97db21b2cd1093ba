// The optimiser's passes over parameters and gradients, bound by memory.
#include "vector_math.h"
#include "stream.h"

namespace {

/** total[0] += Σ x², in double; one sum for each piece, added up in their order. */
template <typename T>
void sumOfSquares(const T* x, i64 n, f64* total) {
  const i64 pieces = (n + GRAIN - 1) / GRAIN;
  Scratch<f64> sums(pieces);
  parallelRanges(n, GRAIN, [&](i64 begin, i64 end) {
    // Independent sums, so that additions need not wait for each other.
    constexpr i64 PARTS = 4 * LANES<f64>;
    f64 parts[PARTS] = {};
    i64 i = begin;
    for (; i + PARTS <= end; i += PARTS)
      for (i64 k = 0; k < PARTS; k++) parts[k] += static_cast<f64>(x[i + k]) * x[i + k];
    f64 sum = 0;
    for (; i < end; i++) sum += static_cast<f64>(x[i]) * x[i];
    for (i64 k = 0; k < PARTS; k++) sum += parts[k];
    sums[begin / GRAIN] = sum;
  });
  f64 sum = 0;
  for (i64 p = 0; p < pieces; p++) sum += sums[p];
  *total += sum;
}

/** Pascanu, Mikolov & Bengio (2013): scales the gradient to a largest norm. */
template <typename T>
void scaleToNorm(T* x, i64 n, const f64* total, f64 maxNorm) {
  const f64 scale = maxNorm / (sqrtOf(*total) + 1e-6);
  // Not where it is NaN: then every number is left as it is, as in the reference.
  if (!(scale < 1)) return;
  const T factor = static_cast<T>(scale);
  stream<T>(n, [=](i64 i, i64 lanes) DAG_INLINE { storeUpTo(x + i, loadUpTo(x + i, lanes) * factor, lanes); });
}

/** Loshchilov & Hutter (2019), algorithm 2, as PyTorch orders it; the coefficients come from src/backends/cpu/optimizer.ts. */
template <typename T>
void adamW(T* parameter, const T* gradient, T* m, T* v, i64 n, const f64* coefficients) {
  const auto at = [&](int i) { return static_cast<T>(coefficients[i]); };
  const T beta1 = at(0), rest1 = at(1), beta2 = at(2), rest2 = at(3), keep = at(4), rate = at(5), root = at(6), eps = at(7);
  stream<T>(n, [=](i64 i, i64 lanes) DAG_INLINE {
    const Vec<T> g = loadUpTo(gradient + i, lanes);
    const Vec<T> mean = loadUpTo(m + i, lanes) * beta1 + g * rest1;
    const Vec<T> square = loadUpTo(v + i, lanes) * beta2 + g * g * rest2;
    storeUpTo(m + i, mean, lanes);
    storeUpTo(v + i, square, lanes);
    storeUpTo(parameter + i, loadUpTo(parameter + i, lanes) * keep - rate * mean / (rootOf<T>(square) * root + eps), lanes);
  });
}

}  // namespace

#define DAG_OPTIMIZER(T)                                                                                         \
  DAG_KERNEL(sum_of_squares_##T)(const T* x, i64 n, f64* total) { sumOfSquares(x, n, total); }                   \
  DAG_KERNEL(scale_to_norm_##T)(T* x, i64 n, const f64* total, f64 maxNorm) { scaleToNorm(x, n, total, maxNorm); } \
  DAG_KERNEL(adam_w_##T)(T* parameter, const T* gradient, T* m, T* v, i64 n, const f64* coefficients) {          \
    adamW(parameter, gradient, m, v, n, coefficients);                                                           \
  }
DAG_OPTIMIZER(f32)
DAG_OPTIMIZER(f64)
