// Passes over parameters and their gradients.
#include "common.h"

namespace {

/** One number a block: Σ x² of the elements that it takes. */
template <typename T>
__device__ void sumOfSquares(const T* x, int64_t n, double* partial) {
  __shared__ double shared[WARP];
  double sum = 0;
  for (int64_t i = firstIndex(); i < n; i += indexStep()) sum += static_cast<double>(x[i]) * x[i];
  sum = combineBlock<Sum>(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

/** total[0] += all of `partial`, by one block. */
__device__ inline void addToTotal(const double* partial, int64_t n, double* total) {
  __shared__ double shared[WARP];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += partial[i];
  sum = combineBlock<Sum>(sum, shared);
  if (threadIdx.x == 0) total[0] += sum;
}

/** Pascanu, Mikolov & Bengio (2013): scales the gradient to a largest norm. */
template <typename T>
__device__ void scaleToNorm(T* x, int64_t n, const double* total, double maxNorm) {
  const double scale = maxNorm / (sqrt(total[0]) + 1e-6);
  // Nothing where a NaN is in it: whoever reads the norm finds it there.
  if (!(scale < 1)) return;
  for (int64_t i = firstIndex(); i < n; i += indexStep()) x[i] *= static_cast<T>(scale);
}

/**
 * Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, as PyTorch orders it.
 * `correction1` is lr / (1 − β₁ᵗ), `correction2` 1 / √(1 − β₂ᵗ), `kept` 1 − lr·decay.
 */
template <typename T>
__device__ void adamW(T* parameter, const T* gradient, T* m, T* v, int64_t n, double beta1, double beta2, double kept,
                      double correction1, double correction2, double eps) {
  const T b1 = static_cast<T>(beta1), c1 = static_cast<T>(1 - beta1);
  const T b2 = static_cast<T>(beta2), c2 = static_cast<T>(1 - beta2);
  for (int64_t i = firstIndex(); i < n; i += indexStep()) {
    const T g = gradient[i];
    const T mean = b1 * m[i] + c1 * g;
    const T square = b2 * v[i] + c2 * g * g;
    m[i] = mean;
    v[i] = square;
    parameter[i] = parameter[i] * static_cast<T>(kept) -
                   static_cast<T>(correction1) * mean /
                       (sqrtOf(square) * static_cast<T>(correction2) + static_cast<T>(eps));
  }
}

}  // namespace

DAG_KERNELS(sumOfSquares, THREADS, (const T* x, int64_t n, double* partial), (x, n, partial))
DAG_EXPORT(addToTotal_f64, THREADS, (const double* partial, int64_t n, double* total), (addToTotal(partial, n, total)))
DAG_KERNELS(scaleToNorm, THREADS, (T* x, int64_t n, const double* total, double maxNorm), (x, n, total, maxNorm))
DAG_KERNELS(adamW, THREADS,
            (T* parameter, const T* gradient, T* m, T* v, int64_t n, double beta1, double beta2, double kept,
             double correction1, double correction2, double eps),
            (parameter, gradient, m, v, n, beta1, beta2, kept, correction1, correction2, eps))
