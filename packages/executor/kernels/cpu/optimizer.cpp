// The optimiser's passes over parameters and gradients; they are memory-bound.
#include "vector_math.h"
#include "stream.h"

namespace {

/** Squares of larger numbers might overflow in a sum, so these are scaled by SHRINK and summed separately. */
constexpr f64 LARGE = 0x1p480, SHRINK = 0x1p-600;

/** The contributions of x to both sums: x² and 0 if x is small, 0 and (x·SHRINK)² if it is large. NaN counts as large. */
inline f64 smallSquare(f64 x) { return x < LARGE && x > -LARGE ? x * x : 0; }
inline f64 largeSquare(f64 x) { return x < LARGE && x > -LARGE ? 0 : (x * SHRINK) * (x * SHRINK); }

/** total += Σ smallSquare, Σ largeSquare, in double; one sum per piece, added in order. */
template <typename T>
void sumOfSquares(const T* x, i64 n, f64* total) {
  const i64 pieces = (n + GRAIN - 1) / GRAIN;
  Scratch<f64> sums(2 * pieces);
  if (!sums) return;
  parallelRanges(n, GRAIN, [&](i64 begin, i64 end) {
    // Independent sums, so that additions need not wait for each other.
    constexpr i64 PARTS = 4 * LANES<f64>;
    f64 small[PARTS] = {}, large[PARTS] = {};
    i64 i = begin;
    for (; i + PARTS <= end; i += PARTS)
      for (i64 k = 0; k < PARTS; k++) {
        small[k] += smallSquare(x[i + k]);
        large[k] += largeSquare(x[i + k]);
      }
    f64 both[2] = {};
    for (; i < end; i++) {
      both[0] += smallSquare(x[i]);
      both[1] += largeSquare(x[i]);
    }
    for (i64 k = 0; k < PARTS; k++) {
      both[0] += small[k];
      both[1] += large[k];
    }
    for (int k = 0; k < 2; k++) sums[2 * (begin / GRAIN) + k] = both[k];
  });
  for (int k = 0; k < 2; k++) {
    f64 sum = 0;
    for (i64 p = 0; p < pieces; p++) sum += sums[2 * p + k];
    total[k] += sum;
  }
}

/** x *= first, x *= second: a factor too small for T is split into two. */
template <typename T>
void scale(T* x, i64 n, f64 first, f64 second) {
  const T a = static_cast<T>(first), b = static_cast<T>(second);
  stream<T>(n, [=](i64 i, i64 lanes) DAG_INLINE { storeUpTo(x + i, loadUpTo(x + i, lanes) * a * b, lanes); });
}

/** AdamW: Loshchilov & Hutter (2019), algorithm 2, in PyTorch's order of operations; src/backends/cpp/optimizer.ts computes the coefficients. */
template <typename T>
void adamW(T* parameter, const T* gradient, T* m, T* v, i64 n, const f64* coefficients) {
  const auto at = [&](int i) { return static_cast<T>(coefficients[i]); };
  const T beta1 = at(0), rest1 = at(1), beta2 = at(2), rest2 = at(3), keep = at(4), rate = at(5), root = at(6), eps = at(7);
  const T first = at(8), second = at(9);
  stream<T>(n, [=](i64 i, i64 lanes) DAG_INLINE {
    const Vec<T> g = loadUpTo(gradient + i, lanes) * first * second;
    const Vec<T> mean = loadUpTo(m + i, lanes) * beta1 + g * rest1;
    const Vec<T> square = loadUpTo(v + i, lanes) * beta2 + g * g * rest2;
    storeUpTo(m + i, mean, lanes);
    storeUpTo(v + i, square, lanes);
    storeUpTo(parameter + i, loadUpTo(parameter + i, lanes) * keep - rate * mean / (sqrtOf(square) * root + eps), lanes);
  });
}

}  // namespace

#define DAG_OPTIMIZER(T)                                                                                         \
  DAG_SCRATCH_KERNEL(sum_of_squares_##T)(const T* x, i64 n, f64* total) {                                        \
    return lacksMemory([&] { sumOfSquares(x, n, total); });                                                      \
  }                                                                                                              \
  DAG_KERNEL(scale_##T)(T* x, i64 n, f64 first, f64 second) { scale(x, n, first, second); }                      \
  DAG_KERNEL(adam_w_##T)(T* parameter, const T* gradient, T* m, T* v, i64 n, const f64* coefficients) {          \
    adamW(parameter, gradient, m, v, n, coefficients);                                                           \
  }
DAG_OPTIMIZER(f32)
DAG_OPTIMIZER(f64)
