// Functions of one element, and dropout: each function beside its derivative.
#include "vector_math.h"
#include "philox.h"
#include "stream.h"

#include "../elementwise.h"

namespace {

template <typename T, typename F>
void apply(const T* x, T* y, i64 n, const F& f) {
  stream<T>(n, [&](i64 i, i64 lanes) DAG_INLINE { storeUpTo(y + i, f(loadUpTo(x + i, lanes)), lanes); });
}

template <typename T>
void unary(i64 kind, const T* x, T* y, i64 n, T p, T q) {
  switch (static_cast<UnaryKind>(kind)) {
#define DAG_CASE(name)  \
  case UnaryKind::name: \
    return apply(x, y, n, [=](Vec<T> v) DAG_INLINE { return unary_ops::name::value(v, splat(p), splat(q)); });
    DAG_UNARY_KINDS(DAG_CASE)
#undef DAG_CASE
  }
  dagUnknownKind("unary", kind);
}

/** The arguments of a derivative. Kinds that do not need x or y do not read them. */
template <typename T>
struct UnaryPass {
  const T* x;
  const T* y;
  const T* gradY;
  T* gradX;
  i64 n;
  bool accumulate;
};

/** gradX (+)= gradY·f(x, y). */
template <typename T, typename F>
void applyBackward(const UnaryPass<T>& pass, const F& f) {
  const auto [x, y, gradY, gradX, n, accumulate] = pass;
  const T *from = x, *made = y, *upstream = gradY;
  T* into = gradX;
  const bool add = accumulate;
  stream<T>(n, [=](i64 i, i64 lanes) DAG_INLINE {
    const Vec<T> slope = f(loadUpTo(from + i, lanes), loadUpTo(made + i, lanes));
    put(into + i, loadUpTo(upstream + i, lanes) * slope, lanes, add);
  });
}

template <typename T>
void unaryBackward(i64 kind, const UnaryPass<T>& pass, T p, T q) {
  switch (static_cast<UnaryKind>(kind)) {
#define DAG_CASE(name)                                            \
  case UnaryKind::name:                                           \
    return applyBackward(pass, [=](Vec<T> x, Vec<T> y) DAG_INLINE { \
      return unary_ops::name::derivative(x, y, splat(p), splat(q)); \
    });
    DAG_UNARY_KINDS(DAG_CASE)
#undef DAG_CASE
  }
  dagUnknownKind("unary_backward", kind);
}

/** y (+)= x·scale where an element's word of the stream is at least p·2³², else 0; see src/backends/reference/dropout.ts. */
template <typename T>
void dropout(const T* x, T* y, i64 n, f64 p, Seed seed, bool accumulate) {
  const u32 threshold = dropoutThreshold(p);
  const T scale = static_cast<T>(1 / (1 - p));
  parallelRanges(n, GRAIN, [&](i64 begin, i64 end) {
    u32 words[RANDOM_BLOCK];
    for (i64 block = begin; block < end; block += RANDOM_BLOCK) {
      randomBlock(seed, static_cast<u64>(block), words);
      const i64 count = least(RANDOM_BLOCK, end - block);
      const T* from = x + block;
      T* into = y + block;
      if (accumulate)
        for (i64 i = 0; i < count; i++) into[i] += words[i] >= threshold ? from[i] * scale : 0;
      else
        for (i64 i = 0; i < count; i++) into[i] = words[i] >= threshold ? from[i] * scale : 0;
    }
  });
}

Seed seedOf(f64 low, f64 high) { return {static_cast<u32>(low), static_cast<u32>(high)}; }

}  // namespace

DAG_KERNEL(unary_f32)(i64 kind, const f32* x, f32* y, i64 n, f64 p, f64 q) {
  unary(kind, x, y, n, static_cast<f32>(p), static_cast<f32>(q));
}
DAG_KERNEL(unary_f64)(i64 kind, const f64* x, f64* y, i64 n, f64 p, f64 q) { unary(kind, x, y, n, p, q); }

DAG_KERNEL(unary_backward_f32)(i64 kind, const f32* x, const f32* y, const f32* gradY, f32* gradX, i64 n, f64 p, f64 q,
                               i64 accumulate) {
  unaryBackward<f32>(kind, {x, y, gradY, gradX, n, accumulate != 0}, static_cast<f32>(p), static_cast<f32>(q));
}
DAG_KERNEL(unary_backward_f64)(i64 kind, const f64* x, const f64* y, const f64* gradY, f64* gradX, i64 n, f64 p, f64 q,
                               i64 accumulate) {
  unaryBackward<f64>(kind, {x, y, gradY, gradX, n, accumulate != 0}, p, q);
}

DAG_KERNEL(dropout_f32)(const f32* x, f32* y, i64 n, f64 p, f64 seedLow, f64 seedHigh, i64 accumulate) {
  dropout(x, y, n, p, seedOf(seedLow, seedHigh), accumulate != 0);
}
DAG_KERNEL(dropout_f64)(const f64* x, f64* y, i64 n, f64 p, f64 seedLow, f64 seedHigh, i64 accumulate) {
  dropout(x, y, n, p, seedOf(seedLow, seedHigh), accumulate != 0);
}
