// Elementwise functions of one operand, dropout, casts and fills.
#include "random.h"
#include "sums.h"

#include "../elementwise.h"

namespace {

template <typename T>
__device__ T apply(int64_t kind, T x, T p, T q) {
  switch (static_cast<UnaryKind>(kind)) {
#define DAG_CASE(name) \
  case UnaryKind::name: return unary_ops::name::value(x, p, q);
    DAG_UNARY_KINDS(DAG_CASE)
#undef DAG_CASE
  }
  unknownKind("unary", kind);
  return x;
}

template <typename T>
__device__ T derivative(int64_t kind, T x, T y, T p, T q) {
  switch (static_cast<UnaryKind>(kind)) {
#define DAG_CASE(name) \
  case UnaryKind::name: return unary_ops::name::derivative(x, y, p, q);
    DAG_UNARY_KINDS(DAG_CASE)
#undef DAG_CASE
  }
  unknownKind("unaryBackward", kind);
  return x;
}

template <typename T>
__device__ void unary(int64_t kind, const T* x, T* y, int64_t n, double p, double q) {
  for (int64_t i = firstIndex(); i < n; i += indexStep())
    y[i] = apply(kind, x[i], static_cast<T>(p), static_cast<T>(q));
}

template <typename T>
__device__ void unaryBackward(int64_t kind, const T* x, const T* y, const T* gradY, T* gradX, int64_t n, double p,
                              double q, int64_t accumulate) {
  for (int64_t i = firstIndex(); i < n; i += indexStep())
    put(gradX, i, gradY[i] * derivative(kind, x[i], y[i], static_cast<T>(p), static_cast<T>(q)), accumulate);
}

template <typename T>
__device__ void dropout(const T* x, T* y, int64_t n, double p, double low, double high, const double* lowAt,
                        int64_t accumulate) {
  const Dropout<T> mask(p, low, high, lowAt);
  // A thread takes four elements, which share one call of the generator.
  for (int64_t i = 4 * firstIndex(); i < n; i += 4 * indexStep()) {
    Four<T> own = fourOf(x, i, n, true), before = {};
    if (accumulate) before = fourOf(y, i, n, true);
    const Four<T> factors = factorsOf(mask, i, true);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const T kept = keptOf(own.at[j], factors.at[j]);
      own.at[j] = accumulate ? before.at[j] + kept : kept;
    }
    putFour(y, i, n, true, own);
  }
}

template <Activation ACTIVATION, typename S, typename T = Computed<S>>
__device__ void linearBackwardOf(const Dropout<T>& mask, const S* gradY, const S* preactivation, S* gradSum, double* partial,
                                 ColumnSums& shared, int64_t rows, int64_t n) {
  const bool aligned = n % 4 == 0;
  sumColumns(rows, n, partial, shared, [=](int64_t row, int64_t column) {
    const int64_t first = row * n;
    Four<T> g = fourOf(gradY + first, column, n, aligned), x = {};
    if (ACTIVATION != Activation::none) x = fourOf(preactivation + first, column, n, aligned);
    const Four<T> factors = factorsOf(mask, first + column, aligned);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      g.at[j] *= factors.at[j];
#define DAG_CASE(name) \
  if (ACTIVATION == Activation::name) g.at[j] *= unary_ops::name::derivative(x.at[j], x.at[j], x.at[j], x.at[j]);
      DAG_ACTIVATIONS(DAG_CASE)
#undef DAG_CASE
    }
    putFour(gradSum + first, column, n, aligned, g);
    return g;
  });
}

/**
 * gradSum (rows, n) = the gradient before dropout and activation; `partial` receives its sums over
 * rows, as in sumColumns.
 */
template <typename S>
__device__ void linearBackward(const S* gradY, const S* preactivation, S* gradSum, double* partial, int64_t rows, int64_t n,
                               int64_t activation, double p, double low, double high, const double* lowAt) {
  __shared__ ColumnSums shared;
  const Dropout<Computed<S>> mask(p, low, high, lowAt);
  switch (static_cast<Activation>(activation)) {
#define DAG_CASE(name) \
  case Activation::name: return linearBackwardOf<Activation::name>(mask, gradY, preactivation, gradSum, partial, shared, rows, n);
    DAG_CASE(none)
    DAG_ACTIVATIONS(DAG_CASE)
#undef DAG_CASE
  }
  unknownKind("linearBackward", activation);
}

/** Converts to 32 bits as JavaScript does: the whole part modulo 2³². */
__device__ inline int32_t toWord(double x) {
  if (!(x - x == 0)) return 0;
  const double rest = fmod(trunc(x), 4294967296.0);
  return static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(rest)));
}

template <typename To>
__device__ To convert(double x) {
  return static_cast<To>(x);
}
template <>
__device__ inline int32_t convert<int32_t>(double x) {
  return toWord(x);
}

/** Rounded once: to f32 to odd, which keeps apart what lies on different sides of the middle of two bf16, and then to bf16. */
template <>
__device__ inline bf16 convert<bf16>(double x) {
  const float nearest = static_cast<float>(x);
  uint32_t bits = __float_as_uint(nearest);
  if (nearest < x || nearest > x) bits = (fabs(static_cast<double>(nearest)) > fabs(x) ? bits - 1 : bits) | 1;
  return bf16(__uint_as_float(bits));
}

template <typename T>
__device__ void fill(T* y, int64_t n, double value) {
  for (int64_t i = firstIndex(); i < n; i += indexStep()) y[i] = convert<T>(value);
}

/** Accumulates in double, which represents all numbers of the four dtypes exactly. */
template <typename From, typename To>
__device__ void cast(const From* x, To* y, int64_t n, int64_t accumulate) {
  for (int64_t i = firstIndex(); i < n; i += indexStep())
    y[i] = convert<To>(accumulate ? static_cast<double>(y[i]) + static_cast<double>(x[i]) : static_cast<double>(x[i]));
}

}  // namespace

DAG_KERNELS(unary, THREADS, (int64_t kind, const T* x, T* y, int64_t n, double p, double q), (kind, x, y, n, p, q))
DAG_KERNELS(unaryBackward, THREADS,
            (int64_t kind, const T* x, const T* y, const T* gradY, T* gradX, int64_t n, double p, double q,
             int64_t accumulate),
            (kind, x, y, gradY, gradX, n, p, q, accumulate))
DAG_KERNELS(dropout, THREADS,
            (const T* x, T* y, int64_t n, double p, double low, double high, const double* lowAt, int64_t accumulate),
            (x, y, n, p, low, high, lowAt, accumulate))
DAG_KERNELS(linearBackward, THREADS,
            (const T* gradY, const T* preactivation, T* gradSum, double* partial, int64_t rows, int64_t n,
             int64_t activation, double p, double low, double high, const double* lowAt),
            (gradY, preactivation, gradSum, partial, rows, n, activation, p, low, high, lowAt))
DAG_KERNEL(linearBackward, bf16, bf16, THREADS,
           (const T* gradY, const T* preactivation, T* gradSum, double* partial, int64_t rows, int64_t n,
            int64_t activation, double p, double low, double high, const double* lowAt),
           (gradY, preactivation, gradSum, partial, rows, n, activation, p, low, high, lowAt))
DAG_KERNELS(fill, THREADS, (T* y, int64_t n, double value), (y, n, value))
DAG_KERNEL(fill, i32, int32_t, THREADS, (T* y, int64_t n, double value), (y, n, value))
DAG_KERNEL(fill, bf16, bf16, THREADS, (T* y, int64_t n, double value), (y, n, value))

#define DAG_CAST(from, From, to, To)                                                             \
  DAG_EXPORT(cast_##from##_##to, THREADS, (const From* x, To* y, int64_t n, int64_t accumulate), \
             (cast(x, y, n, accumulate)))
#define DAG_CASTS(from, From)      \
  DAG_CAST(from, From, f32, float)   \
  DAG_CAST(from, From, f64, double)  \
  DAG_CAST(from, From, i32, int32_t) \
  DAG_CAST(from, From, bf16, bf16)
DAG_CASTS(f32, float)
DAG_CASTS(f64, double)
DAG_CASTS(i32, int32_t)
DAG_CASTS(bf16, bf16)
