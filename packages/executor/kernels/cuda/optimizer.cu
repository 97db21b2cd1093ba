// Passes over parameters and their gradients.
#include "fours.h"

namespace {

/** Most tensors per launch, and elements per block; same as in src/backends/cuda/optimizer.ts. */
constexpr int TABLE = 64, CHUNK = 16384;

/** The tensors of one launch: each has POINTERS arrays of `length` elements, and blocks from `first` on. */
template <typename T, int POINTERS>
struct Table {
  int64_t count;
  struct {
    int64_t first, length;
    T* at[POINTERS];
  } tensor[TABLE];
};

/** The work of a block: elements begin … end − 1 of a tensor. */
struct Part {
  int tensor;
  int64_t begin, end;
};

template <typename T, int POINTERS>
__device__ Part partOf(const Table<T, POINTERS>& table) {
  int tensor = 0, above = static_cast<int>(table.count);
  while (above - tensor > 1) {
    const int middle = (tensor + above) / 2;
    if (table.tensor[middle].first <= blockIdx.x) tensor = middle;
    else above = middle;
  }
  const int64_t begin = (blockIdx.x - table.tensor[tensor].first) * CHUNK, length = table.tensor[tensor].length;
  return {tensor, begin, begin + CHUNK < length ? begin + CHUNK : length};
}

/** Squares of larger numbers might overflow in a sum, so these are scaled by SHRINK and summed separately. */
constexpr double LARGE = 0x1p480, SHRINK = 0x1p-600;

/** Two sums per block over its part: Σ x² of small numbers, Σ (x·SHRINK)² of large ones. NaN counts as large. */
template <typename T>
__device__ void sumOfSquares(const Table<T, 1>& table, double* partial) {
  __shared__ double shared[WARP];
  const Part part = partOf(table);
  const T* const x = table.tensor[part.tensor].at[0];
  double small = 0, large = 0;
#pragma unroll 4
  for (int64_t i = part.begin + 4 * threadIdx.x; i < part.end; i += 4 * THREADS) {
    const Four<T> four = fourOf(x, i, part.end, true);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const double number = four.at[j];
      if (number < LARGE && number > -LARGE) small += number * number;
      else large += (number * SHRINK) * (number * SHRINK);
    }
  }
  small = combineBlock<Sum>(small, shared);
  large = combineBlock<Sum>(large, shared);
  if (threadIdx.x == 0) {
    partial[2 * blockIdx.x] = small;
    partial[2 * blockIdx.x + 1] = large;
  }
}

/** The norm as root / unit, neither of which overflows. */
struct Root {
  double root, unit;
};
__device__ inline Root rootOf(const double* total) {
  const double small = total[0], large = total[1];
  if (large == 0) return {sqrt(small), 1};
  return {sqrt(large + small * SHRINK * SHRINK), SHRINK};
}

/** Adds the `n` pairs of `partial` to `total`, in one block; norm[0] becomes the norm of `total`. */
__device__ inline void addToTotal(const double* partial, int64_t n, double* total, double* norm) {
  __shared__ double shared[WARP];
  double small = 0, large = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    small += partial[2 * i];
    large += partial[2 * i + 1];
  }
  small = combineBlock<Sum>(small, shared);
  large = combineBlock<Sum>(large, shared);
  if (threadIdx.x == 0) {
    total[0] += small;
    total[1] += large;
    const Root root = rootOf(total);
    norm[0] = root.root / root.unit;
  }
}

/** Two factors whose product scales gradients to a norm of at most maxNorm (Pascanu, Mikolov & Bengio 2013); see src/backends/reference/optimizer.ts. */
struct Factors {
  double first, second;
};
__device__ inline Factors factorsToNorm(const double* total, double maxNorm) {
  constexpr double LIFT = 0x1p64;
  const Root root = rootOf(total);
  const double lifted = maxNorm * LIFT * root.unit / (root.root + 1e-6 * root.unit);
  // They stay as they are if one has a NaN or an infinity: the caller sees it in the norm.
  if (!(lifted < LIFT) || root.root - root.root != 0) return {1, 1};
  // A factor too small for T is split into two.
  return lifted < 0x1p-36 ? Factors{1 / LIFT, lifted} : Factors{1, lifted / LIFT};
}

template <typename T>
__device__ void scaleToNorm(const Table<T, 1>& table, const double* total, double maxNorm) {
  const Factors factors = factorsToNorm(total, maxNorm);
  if (factors.second == 1) return;
  const T first = static_cast<T>(factors.first), second = static_cast<T>(factors.second);
  const Part part = partOf(table);
  T* const x = table.tensor[part.tensor].at[0];
#pragma unroll 2
  for (int64_t i = part.begin + 4 * threadIdx.x; i < part.end; i += 4 * THREADS) {
    Four<T> four = fourOf(x, i, part.end, true);
#pragma unroll
    for (int j = 0; j < 4; j++) four.at[j] = four.at[j] * first * second;
    putFour(x, i, part.end, true, four);
  }
}

/**
 * AdamW: Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, in PyTorch's order of operations. The arrays of
 * each tensor are parameter, gradient, m, v and, or null, a bf16 copy of the parameter. If given, `*lrAt` and `*stepAt` replace lr and
 * step: a recorded step changes them from run to run; gradients are read as `scaleToNorm` leaves those of `total`.
 */
template <typename T>
__device__ void adamW(const Table<T, 5>& table, double beta1, double beta2, double decay, double lr, double step, double eps,
                      const double* lrAt, const double* stepAt, const double* total, double maxNorm) {
  __shared__ double shared[5];
  if (threadIdx.x == 0) {
    const double rate = lrAt ? *lrAt : lr, t = stepAt ? *stepAt : step;
    shared[0] = 1 - rate * decay;
    shared[1] = rate / (1 - pow(beta1, t));
    shared[2] = 1 / sqrt(1 - pow(beta2, t));
    const Factors factors = total ? factorsToNorm(total, maxNorm) : Factors{1, 1};
    shared[3] = factors.first;
    shared[4] = factors.second;
  }
  __syncthreads();
  const T kept = static_cast<T>(shared[0]);
  const T correction1 = static_cast<T>(shared[1]), correction2 = static_cast<T>(shared[2]);
  const T first = static_cast<T>(shared[3]), second = static_cast<T>(shared[4]);
  const T b1 = static_cast<T>(beta1), c1 = static_cast<T>(1 - beta1);
  const T b2 = static_cast<T>(beta2), c2 = static_cast<T>(1 - beta2);
  const Part part = partOf(table);
  T* const* const at = table.tensor[part.tensor].at;
  T *const parameter = at[0], *const gradient = at[1], *const m = at[2], *const v = at[3];
  bf16* const copy = reinterpret_cast<bf16*>(at[4]);
  for (int64_t i = part.begin + 4 * threadIdx.x; i < part.end; i += 4 * THREADS) {
    const auto four = [&](const T* x) { return fourOf(x, i, part.end, true); };
    Four<T> own = four(parameter), mean = four(m), square = four(v);
    const Four<T> g = four(gradient);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const T by = g.at[j] * first * second;
      mean.at[j] = b1 * mean.at[j] + c1 * by;
      square.at[j] = b2 * square.at[j] + c2 * by * by;
      const T root = sqrtOf(square.at[j]) * correction2 + static_cast<T>(eps);
      own.at[j] = own.at[j] * kept - correction1 * mean.at[j] / root;
    }
    putFour(m, i, part.end, true, mean);
    putFour(v, i, part.end, true, square);
    putFour(parameter, i, part.end, true, own);
    if constexpr (sizeof(T) == sizeof(float))
      if (copy) putFour(copy, i, part.end, true, own);
  }
}

}  // namespace

DAG_KERNELS(sumOfSquares, THREADS, (Table<T, 1> table, double* partial), (table, partial))
DAG_EXPORT(addToTotal_f64, THREADS, (const double* partial, int64_t n, double* total, double* norm),
           (addToTotal(partial, n, total, norm)))
DAG_KERNELS(scaleToNorm, THREADS, (Table<T, 1> table, const double* total, double maxNorm), (table, total, maxNorm))
DAG_KERNELS(adamW, THREADS,
            (Table<T, 5> table, double beta1, double beta2, double decay, double lr, double step, double eps,
             const double* lrAt, const double* stepAt, const double* total, double maxNorm),
            (table, beta1, beta2, decay, lr, step, eps, lrAt, stepAt, total, maxNorm))
