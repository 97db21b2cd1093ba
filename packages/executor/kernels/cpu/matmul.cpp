#include "matmul.h"

namespace {

/** Products of `batch` matrices, whose starts are `stride…` elements apart. */
template <typename T>
void batchedProduct(Matrices<T> x, i64 batch, i64 strideA, i64 strideB, i64 strideC) {
  const Finish nothing{};
  const auto one = [&](i64 i) {
    Matrices<T> y = x;
    y.a += i * strideA;
    y.b += i * strideB;
    y.c += i * strideC;
    // With strideC 0 all matrices share one result, the sum of their products.
    y.accumulate = x.accumulate || (strideC == 0 && i > 0);
    oneProduct(y, nothing);
  };
  // Enough matrices per piece that it is worth a thread.
  const i64 grain = 1 + (1 << 16) / (x.m * x.n * x.k + 1);
  if (strideC == 0 || batch < 4)
    for (i64 i = 0; i < batch; i++) one(i);
  else
    parallelRanges(batch, grain, [&](i64 begin, i64 end) {
      for (i64 i = begin; i < end; i++) one(i);
    });
}

}  // namespace

#define DAG_MATMUL(T)                                                                                             \
  DAG_SCRATCH_KERNEL(matmul_##T)(i64 batch, i64 m, i64 n, i64 k, i64 transposeA, i64 transposeB, i64 strideA, i64 strideB, \
                         i64 strideC, const T* a, const T* b, T* c, i64 accumulate) {                             \
    const Matrices<T> x{m, n, k, transposeA != 0, transposeB != 0, accumulate != 0, a, b, c};                     \
    return lacksMemory([&] { batchedProduct<T>(x, batch, strideA, strideB, strideC); });                          \
  }
DAG_MATMUL(f32)
DAG_MATMUL(f64)
