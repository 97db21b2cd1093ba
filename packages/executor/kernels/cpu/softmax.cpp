// Softmax, log-softmax and cross-entropy over contiguous rows. A row stays in the cache between its passes.
#include "vector_math.h"
#include "stream.h"

namespace {

/** Rows that one thread takes at a time. */
i64 rowGrain(i64 n) { return most(1, GRAIN / most(1, n)); }

template <typename T>
constexpr T INFINITE = static_cast<T>(__builtin_huge_val());

/** Replaces the lanes from `lanes` on by `rest`. */
template <typename T>
inline DAG_INLINE Vec<T> orElse(Vec<T> v, i64 lanes, T rest) {
  return lanes >= LANES<T> ? v : firstLanes<T>(lanes) ? v : splat(rest);
}

template <typename T>
T largestOf(const T* x, i64 n) {
  constexpr i64 L = LANES<T>;
  Vec<T> most[4];
  for (Vec<T>& m : most) m = splat(-INFINITE<T>);
  i64 i = 0;
  // Four vectors at a time, so that comparisons need not wait for each other.
  for (; i + 4 * L <= n; i += 4 * L)
#pragma GCC unroll 4
    for (i64 k = 0; k < 4; k++) most[k] = larger(load(x + i + k * L), most[k]);
  forVectors<T>(i, n, [&](i64 at, i64 lanes) DAG_INLINE {
    most[0] = larger(orElse(loadUpTo(x + at, lanes), lanes, -INFINITE<T>), most[0]);
  });
  return maxOf<T>(larger(larger(most[0], most[1]), larger(most[2], most[3])));
}

/** Σ e^(x − shift); y, if given, receives the terms. */
template <typename T>
inline DAG_INLINE T sumOfExp(const T* x, T* y, i64 n, T shift) {
  Vec<T> sum{};
  forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
    const Vec<T> e = expOf(loadUpTo(x + i, lanes) - shift);
    sum += orElse(e, lanes, T{0});
    if (y) storeUpTo(y + i, e, lanes);
  });
  return sumOf<T>(sum);
}

template <typename T>
inline T logOfNumber(T x) {
  return logOf(splat(x))[0];
}

template <typename T>
void softmax(const T* x, T* y, i64 rows, i64 n, bool log) {
  parallelRanges(rows, rowGrain(n), [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; r++) {
      const T *from = x + r * n;
      T* to = y + r * n;
      const T shift = largestOf(from, n);
      const T sum = sumOfExp<T>(from, log ? nullptr : to, n, shift);
      const T logSum = log ? shift + logOfNumber(sum) : 0;
      if (log)
        forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE { storeUpTo(to + i, loadUpTo(from + i, lanes) - logSum, lanes); });
      else
        forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE { storeUpTo(to + i, loadUpTo(to + i, lanes) / sum, lanes); });
    }
  });
}

/** softmax: dx = y·(dy − Σ y·dy); log-softmax: dx = dy − e^y·Σ dy. */
template <typename T>
void softmaxBackward(const T* y, const T* gradY, T* gradX, i64 rows, i64 n, bool log, bool accumulate) {
  parallelRanges(rows, rowGrain(n), [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; r++) {
      const T *p = y + r * n, *g = gradY + r * n;
      T* to = gradX + r * n;
      Vec<T> sums{};
      if (log)
        forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE { sums += loadUpTo(g + i, lanes); });
      else
        forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE { sums += loadUpTo(g + i, lanes) * loadUpTo(p + i, lanes); });
      const T sum = sumOf<T>(sums);
      if (log)
        forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
          put(to + i, loadUpTo(g + i, lanes) - expOf(loadUpTo(p + i, lanes)) * sum, lanes, accumulate);
        });
      else
        forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
          put(to + i, loadUpTo(p + i, lanes) * (loadUpTo(g + i, lanes) - sum), lanes, accumulate);
        });
    }
  });
}

/** losses[r] = ln Σ e^x − x[target], 0 where the target is −1; logSums for the gradient. */
template <typename T>
void crossEntropy(const T* x, const i32* targets, T* losses, T* logSums, i64 rows, i64 n) {
  parallelRanges(rows, rowGrain(n), [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; r++) {
      const T* from = x + r * n;
      if (targets[r] < 0) {
        losses[r] = logSums[r] = 0;
        continue;
      }
      const T shift = largestOf(from, n);
      logSums[r] = shift + logOfNumber(sumOfExp<T>(from, nullptr, n, shift));
      losses[r] = logSums[r] - from[targets[r]];
    }
  });
}

/** dx = (e^(x − logSum) − [target])·dloss. */
template <typename T>
void crossEntropyBackward(const T* x, const i32* targets, const T* logSums, const T* gradLosses, T* gradX, i64 rows,
                          i64 n, bool accumulate) {
  parallelRanges(rows, rowGrain(n), [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; r++) {
      const T* from = x + r * n;
      T* to = gradX + r * n;
      if (targets[r] < 0) {
        if (!accumulate) std::memset(to, 0, n * sizeof(T));
        continue;
      }
      const T logSum = logSums[r], g = gradLosses[r];
      forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
        put(to + i, expOf(loadUpTo(from + i, lanes) - logSum) * g, lanes, accumulate);
      });
      to[targets[r]] -= g;
    }
  });
}

}  // namespace

#define DAG_SOFTMAX(T)                                                                                               \
  DAG_KERNEL(softmax_##T)(const T* x, T* y, i64 rows, i64 n, i64 log) { softmax(x, y, rows, n, log != 0); }          \
  DAG_KERNEL(softmax_backward_##T)(const T* y, const T* gradY, T* gradX, i64 rows, i64 n, i64 log, i64 accumulate) { \
    softmaxBackward(y, gradY, gradX, rows, n, log != 0, accumulate != 0);                                            \
  }                                                                                                                  \
  DAG_KERNEL(cross_entropy_##T)(const T* x, const i32* targets, T* losses, T* logSums, i64 rows, i64 n) {            \
    crossEntropy(x, targets, losses, logSums, rows, n);                                                              \
  }                                                                                                                  \
  DAG_KERNEL(cross_entropy_backward_##T)(const T* x, const i32* targets, const T* logSums, const T* gradLosses,      \
                                         T* gradX, i64 rows, i64 n, i64 accumulate) {                                \
    crossEntropyBackward(x, targets, logSums, gradLosses, gradX, rows, n, accumulate != 0);                          \
  }
DAG_SOFTMAX(f32)
DAG_SOFTMAX(f64)
