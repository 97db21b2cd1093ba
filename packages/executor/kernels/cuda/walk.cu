// Functions of two tensors, copies and sums, each over strided operands.
#include "walk.h"

namespace {

/** In the order of BINARY_KINDS in src/backends/kinds.ts. */
enum BinaryKind : int64_t { ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, GREATER_EQUAL };

template <typename T>
__device__ T apply(int64_t kind, T a, T b) {
  switch (kind) {
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return a / b;
    case MAXIMUM: return Max::of(a, b);
    case MINIMUM: return a < b || a != a ? a : b;
    default: return a >= b ? T(1) : T(0);
  }
}

template <typename T>
__device__ void binary(int64_t kind, const Walk& walk, const T* a, const T* b, T* y, int64_t n) {
  for (int64_t i = firstIndex(); i < n; i += indexStep()) {
    Place place = {};
    moveTo(walk, 0, static_cast<int>(walk.kept), i, place);
    y[i] = apply(kind, a[place.at[0]], b[place.at[1]]);
  }
}

/** What an operand receives of the gradient; in the order of SHARES in src/backends/kinds.ts, and COPY: x itself. */
enum Share : int64_t { SCALED, TIMES_OTHER, OVER_OTHER, AS_DIVISOR, IF_LARGER, COPY };

template <typename T>
struct Operands {
  int64_t share;
  T factor;
  const T *self, *other, *gradient;

  __device__ T value(const Place& place) const {
    if (share == COPY) return self[place.at[0]];
    const T g = gradient[place.at[2]];
    if (share == SCALED) return factor * g;
    const T b = other[place.at[1]];
    if (share == TIMES_OTHER) return g * b;
    if (share == OVER_OTHER) return g / b;
    const T a = self[place.at[0]];
    if (share == AS_DIVISOR) return g * (-b / (a * a));
    return factor * a > factor * b ? g : a == b ? g / 2 : T(0);
  }
};

/**
 * to[kept] (+)= the value at each place of the walk, summed over its summed dimensions by one thread an element. With
 * several slices (grid y) each sums a part and writes it to partial[slice][element].
 */
template <typename T>
__device__ void sumByThread(int64_t share, double factor, const Walk& walk, const T* self, const T* other,
                            const T* gradient, T* to, int64_t target, double* partial, int64_t n, int64_t accumulate) {
  const Operands<T> operands{share, static_cast<T>(factor), self, other, gradient};
  const int kept = static_cast<int>(walk.kept), rank = kept + static_cast<int>(walk.summed);
  const int64_t terms = sizeOf(walk, kept, rank);
  const int64_t slice = (terms + gridDim.y - 1) / gridDim.y;
  const int64_t begin = slice * blockIdx.y, end = begin + slice < terms ? begin + slice : terms;
  for (int64_t i = firstIndex(); i < n; i += indexStep()) {
    Place start = {};
    moveTo(walk, 0, kept, i, start);
    const int64_t at = start.at[target];
    if (terms == 1) {
      put(to, at, operands.value(start), accumulate);
      continue;
    }
    double sum = 0;
    for (int64_t r = begin; r < end; r++) {
      Place place = start;
      moveTo(walk, kept, rank, r, place);
      sum += operands.value(place);
    }
    if (partial) partial[blockIdx.y * n + i] = sum;
    else put(to, at, static_cast<T>(sum), accumulate);
  }
}

/** The same with one block an element: for few elements that lie apart, and sums over neighbours. */
template <typename T>
__device__ void sumByBlock(int64_t share, double factor, const Walk& walk, const T* self, const T* other,
                           const T* gradient, T* to, int64_t target, double* partial, int64_t n, int64_t accumulate) {
  __shared__ double shared[WARP];
  const Operands<T> operands{share, static_cast<T>(factor), self, other, gradient};
  const int kept = static_cast<int>(walk.kept), rank = kept + static_cast<int>(walk.summed);
  const int64_t terms = sizeOf(walk, kept, rank);
  const int64_t slice = (terms + gridDim.y - 1) / gridDim.y;
  const int64_t begin = slice * blockIdx.y, end = begin + slice < terms ? begin + slice : terms;
  for (int64_t i = blockIdx.x; i < n; i += gridDim.x) {
    Place start = {};
    moveTo(walk, 0, kept, i, start);
    double sum = 0;
    for (int64_t r = begin + threadIdx.x; r < end; r += blockDim.x) {
      Place place = start;
      moveTo(walk, kept, rank, r, place);
      sum += operands.value(place);
    }
    sum = combineBlock<Sum>(sum, shared);
    if (threadIdx.x != 0) continue;
    if (partial) partial[blockIdx.y * n + i] = sum;
    else put(to, start.at[target], static_cast<T>(sum), accumulate);
  }
}

/** Sums of the slices, in their order. */
template <typename T>
__device__ void sumSlices(const Walk& walk, const double* partial, int64_t slices, T* to, int64_t target, int64_t n,
                          int64_t accumulate) {
  for (int64_t i = firstIndex(); i < n; i += indexStep()) {
    Place place = {};
    moveTo(walk, 0, static_cast<int>(walk.kept), i, place);
    double sum = 0;
    for (int64_t s = 0; s < slices; s++) sum += partial[s * n + i];
    put(to, place.at[target], static_cast<T>(sum), accumulate);
  }
}

/** Copies of whole numbers, where a walk meets no element twice. */
__device__ inline void copyWords(const Walk& walk, const int32_t* x, int32_t* y, int64_t n, int64_t accumulate) {
  for (int64_t i = firstIndex(); i < n; i += indexStep()) {
    Place place = {};
    moveTo(walk, 0, static_cast<int>(walk.kept), i, place);
    put(y, place.at[1], x[place.at[0]], accumulate);
  }
}

}  // namespace

DAG_KERNELS(binary, THREADS, (int64_t kind, Walk walk, const T* a, const T* b, T* y, int64_t n), (kind, walk, a, b, y, n))
DAG_KERNELS(sumByThread, THREADS,
            (int64_t share, double factor, Walk walk, const T* self, const T* other, const T* gradient, T* to,
             int64_t target, double* partial, int64_t n, int64_t accumulate),
            (share, factor, walk, self, other, gradient, to, target, partial, n, accumulate))
DAG_KERNELS(sumByBlock, THREADS,
            (int64_t share, double factor, Walk walk, const T* self, const T* other, const T* gradient, T* to,
             int64_t target, double* partial, int64_t n, int64_t accumulate),
            (share, factor, walk, self, other, gradient, to, target, partial, n, accumulate))
DAG_KERNELS(sumSlices, THREADS,
            (Walk walk, const double* partial, int64_t slices, T* to, int64_t target, int64_t n, int64_t accumulate),
            (walk, partial, slices, to, target, n, accumulate))
DAG_EXPORT(copyWords_i32, THREADS, (Walk walk, const int32_t* x, int32_t* y, int64_t n, int64_t accumulate),
           (copyWords(walk, x, y, n, accumulate)))
