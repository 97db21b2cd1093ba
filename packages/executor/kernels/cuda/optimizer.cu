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
 * Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, as PyTorch orders it. The learning
 * rate is `*lrAt` and t `*stepAt` where those are given: numbers that a recorded step changes.
 */
template <typename T>
__device__ void adamW(T* parameter, const T* gradient, T* m, T* v, int64_t n, double beta1, double beta2, double decay,
                      double lr, double step, double eps, const double* lrAt, const double* stepAt) {
  __shared__ double shared[3];
  if (threadIdx.x == 0) {
    const double rate = lrAt ? *lrAt : lr, t = stepAt ? *stepAt : step;
    shared[0] = 1 - rate * decay;
    shared[1] = rate / (1 - pow(beta1, t));
    shared[2] = 1 / sqrt(1 - pow(beta2, t));
  }
  __syncthreads();
  const T kept = static_cast<T>(shared[0]);
  const T correction1 = static_cast<T>(shared[1]), correction2 = static_cast<T>(shared[2]);
  const T b1 = static_cast<T>(beta1), c1 = static_cast<T>(1 - beta1);
  const T b2 = static_cast<T>(beta2), c2 = static_cast<T>(1 - beta2);
  for (int64_t i = firstIndex(); i < n; i += indexStep()) {
    const T g = gradient[i];
    const T mean = b1 * m[i] + c1 * g;
    const T square = b2 * v[i] + c2 * g * g;
    m[i] = mean;
    v[i] = square;
    parameter[i] = parameter[i] * kept - correction1 * mean / (sqrtOf(square) * correction2 + static_cast<T>(eps));
  }
}

}  // namespace

DAG_KERNELS(sumOfSquares, THREADS, (const T* x, int64_t n, double* partial), (x, n, partial))
DAG_EXPORT(addToTotal_f64, THREADS, (const double* partial, int64_t n, double* total), (addToTotal(partial, n, total)))
DAG_KERNELS(scaleToNorm, THREADS, (T* x, int64_t n, const double* total, double maxNorm), (x, n, total, maxNorm))
DAG_KERNELS(adamW, THREADS,
            (T* parameter, const T* gradient, T* m, T* v, int64_t n, double beta1, double beta2, double decay, double lr,
             double step, double eps, const double* lrAt, const double* stepAt),
            (parameter, gradient, m, v, n, beta1, beta2, decay, lr, step, eps, lrAt, stepAt))
