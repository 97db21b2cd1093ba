// Functions of two tensors, copies and sums, over strided operands.
#include "sums.h"
#include "walk.h"

#include "../elementwise.h"

namespace {

template <typename T>
__device__ T apply(int64_t kind, T a, T b) {
  switch (static_cast<BinaryKind>(kind)) {
#define DAG_CASE(name) \
  case BinaryKind::name: return binary_ops::name::value(a, b);
    DAG_BINARY_KINDS(DAG_CASE)
#undef DAG_CASE
  }
  unknownKind("binary", kind);
  return a;
}

template <int N, typename T>
__device__ void binaryOf(int64_t kind, const Walk& walk, const T* a, const T* b, T* y, int64_t n) {
  const int kept = static_cast<int>(walk.kept), inner = kept == 0 ? 0 : kept - 1;
  for (int64_t i = N * firstIndex(); i < n; i += N * indexStep()) {
    Place place = {};
    moveTo(walk, 0, kept, i, place);
    const auto left = neighboursAt<N>(a, place.at[0], walk.stride[0][inner]);
    const auto right = neighboursAt<N>(b, place.at[1], walk.stride[1][inner]);
    Neighbours<T, N> result;
#pragma unroll
    for (int j = 0; j < N; j++) result.at[j] = apply(kind, left.at[j], right.at[j]);
    putNeighbours(y, i, result, false);
  }
}

/** `fours`: whether four elements along the innermost dimension are read and written at once. */
template <typename T>
__device__ void binary(int64_t kind, const Walk& walk, const T* a, const T* b, T* y, int64_t n, int64_t fours) {
  if (fours) binaryOf<4>(kind, walk, a, b, y, n);
  else binaryOf<1>(kind, walk, a, b, y, n);
}

/** Shares (gradients of an op) that are one operand, number `operand`, times a factor. STILL: its stride along the neighbours is 0. */
template <int N, bool STILL, typename T>
struct Single {
  static constexpr int AT_ONCE = 4;
  const T* x;
  int operand;
  T factor;

  __device__ Neighbours<T, N> values(const Place& place) const {
    auto all = neighboursAt<N>(x, place.at[operand], STILL ? 0 : 1);
#pragma unroll
    for (int j = 0; j < N; j++) all.at[j] *= factor;
    return all;
  }
};

/** Shares that need several operands. */
template <int N, typename T, typename Rule>
struct Several {
  static constexpr int AT_ONCE = 1;
  T factor;
  const T *self, *other, *gradient;
  const Walk& walk;
  int inner;

  __device__ Neighbours<T, N> values(const Place& place) const {
    Neighbours<T, N> a = {}, b = {};
    if (Rule::needsSelf) a = neighboursAt<N>(self, place.at[0], walk.stride[0][inner]);
    if (Rule::needsOther) b = neighboursAt<N>(other, place.at[1], walk.stride[1][inner]);
    const auto g = neighboursAt<N>(gradient, place.at[2], walk.stride[2][inner]);
#pragma unroll
    for (int j = 0; j < N; j++) a.at[j] = Rule::value(g.at[j], a.at[j], b.at[j], factor);
    return a;
  }
};

/** Calls `use` with the operands of a share, N neighbours along dimension `inner`. */
template <int N, typename T, typename Use>
__device__ void withOperands(int64_t share, double factor, const T* self, const T* other, const T* gradient,
                             const Walk& walk, int64_t inner, Use use) {
  const int along = inner < 0 ? 0 : static_cast<int>(inner);
  const Share rule = static_cast<Share>(share);
  if (rule == Share::copy || rule == Share::scaled) {
    const int operand = rule == Share::copy ? 0 : 2;
    const T* const x = rule == Share::copy ? self : gradient;
    const T times = rule == Share::copy ? T(1) : static_cast<T>(factor);
    if (N > 1 && walk.stride[operand][along] == 0) use(Single<N, true, T>{x, operand, times});
    else use(Single<N, false, T>{x, operand, times});
    return;
  }
  switch (rule) {
#define DAG_CASE(name)                                                                            \
  case Share::name:                                                                               \
    use(Several<N, T, shares::name>{static_cast<T>(factor), self, other, gradient, walk, along}); \
    return;
    DAG_SHARES(DAG_CASE)
#undef DAG_CASE
    case Share::copy: break;
  }
  __trap();  // Without unknownKind, whose call takes eight registers here.
}

/** Calls `use(place)` for every `step`-th term from `begin` to `end` of the summed dimensions; AT_ONCE terms are loaded before the first is used. */
template <int AT_ONCE, typename Use>
__device__ void eachTerm(const Walk& walk, int kept, int rank, const Place& start, int64_t begin, int64_t end, int64_t step,
                         Use use) {
  if (rank - kept == 1) {
    // The common case: one summed dimension.
#pragma unroll AT_ONCE
    for (int64_t r = begin; r < end; r += step) {
      Place place;
#pragma unroll
      for (int o = 0; o < OPERANDS; o++) place.at[o] = start.at[o] + r * walk.stride[o][kept];
      use(place);
    }
    return;
  }
  for (int64_t r = begin; r < end; r += step) {
    Place place = start;
    moveTo(walk, kept, rank, r, place);
    use(place);
  }
}

template <int N, typename T, typename Operands>
__device__ void sumByThreadOf(const Operands& operands, const Walk& walk, T* to, int64_t target, double* partial, int64_t n,
                              int64_t accumulate) {
  const int kept = static_cast<int>(walk.kept), rank = kept + static_cast<int>(walk.summed);
  const int64_t terms = sizeOf(walk, kept, rank);
  const int64_t slice = (terms + gridDim.y - 1) / gridDim.y;
  const int64_t begin = slice * blockIdx.y, end = begin + slice < terms ? begin + slice : terms;
  for (int64_t i = N * firstIndex(); i < n; i += N * indexStep()) {
    Place start = {};
    moveTo(walk, 0, kept, i, start);
    const int64_t at = start.at[target];
    if (terms == 1) {
      putNeighbours(to, at, operands.values(start), accumulate);
      continue;
    }
    Neighbours<double, N> sums = {};
    eachTerm<Operands::AT_ONCE>(walk, kept, rank, start, begin, end, 1, [&](const Place& place) {
      const auto values = operands.values(place);
#pragma unroll
      for (int j = 0; j < N; j++) sums.at[j] += values.at[j];
    });
    if (partial) {
      putNeighbours(partial, blockIdx.y * n + i, sums, false);
      continue;
    }
    Neighbours<T, N> total;
#pragma unroll
    for (int j = 0; j < N; j++) total.at[j] = static_cast<T>(sums.at[j]);
    putNeighbours(to, at, total, accumulate);
  }
}

/**
 * to[kept] (+)= the sum of the values over the summed dimensions of the walk. One thread per element, or per four with `fours`. With
 * several slices (grid y) each sums a part and writes it to partial[slice][element].
 */
template <typename T>
__device__ void sumByThread(int64_t share, double factor, const Walk& walk, const T* self, const T* other,
                            const T* gradient, T* to, int64_t target, double* partial, int64_t n, int64_t accumulate,
                            int64_t fours) {
  if (fours)
    withOperands<4>(share, factor, self, other, gradient, walk, walk.kept - 1, [&](const auto& operands) {
      sumByThreadOf<4>(operands, walk, to, target, partial, n, accumulate);
    });
  else
    withOperands<1>(share, factor, self, other, gradient, walk, walk.kept - 1, [&](const auto& operands) {
      sumByThreadOf<1>(operands, walk, to, target, partial, n, accumulate);
    });
}

template <int N, typename T, typename Operands>
__device__ void sumByBlockOf(const Operands& operands, const Walk& walk, T* to, int64_t target, double* partial,
                             double* shared, int64_t n, int64_t accumulate) {
  const int kept = static_cast<int>(walk.kept), rank = kept + static_cast<int>(walk.summed);
  const int64_t terms = sizeOf(walk, kept, rank);
  const int64_t slice = (terms / N + gridDim.y - 1) / gridDim.y * N;
  const int64_t begin = slice * blockIdx.y, end = begin + slice < terms ? begin + slice : terms;
  for (int64_t i = blockIdx.x; i < n; i += gridDim.x) {
    Place start = {};
    moveTo(walk, 0, kept, i, start);
    double sum = 0;
    eachTerm<Operands::AT_ONCE>(walk, kept, rank, start, begin + N * threadIdx.x, end, N * blockDim.x, [&](const Place& place) {
      const auto values = operands.values(place);
#pragma unroll
      for (int j = 0; j < N; j++) sum += values.at[j];
    });
    sum = combineBlock<Sum>(sum, shared);
    if (threadIdx.x != 0) continue;
    if (partial) partial[blockIdx.y * n + i] = sum;
    else put(to, start.at[target], static_cast<T>(sum), accumulate);
  }
}

/** The same with one block per element: for few, scattered elements, and for sums over contiguous terms. `fours`: terms are read by fours. */
template <typename T>
__device__ void sumByBlock(int64_t share, double factor, const Walk& walk, const T* self, const T* other,
                           const T* gradient, T* to, int64_t target, double* partial, int64_t n, int64_t accumulate,
                           int64_t fours) {
  [[maybe_unused]] __shared__ double shared[WARP];
  if (fours)
    withOperands<4>(share, factor, self, other, gradient, walk, walk.kept + walk.summed - 1, [&](const auto& operands) {
      sumByBlockOf<4>(operands, walk, to, target, partial, shared, n, accumulate);
    });
  else
    withOperands<1>(share, factor, self, other, gradient, walk, walk.kept + walk.summed - 1, [&](const auto& operands) {
      sumByBlockOf<1>(operands, walk, to, target, partial, shared, n, accumulate);
    });
}

/** Adds up the slices. */
template <typename T>
__device__ void addWalkSlices(const Walk& walk, const double* partial, int64_t slices, T* to, int64_t target, int64_t n,
                              int64_t accumulate) {
  sumSlices(partial, slices, n, [&](int64_t i, double sum) {
    Place place = {};
    moveTo(walk, 0, static_cast<int>(walk.kept), i, place);
    put(to, place.at[target], static_cast<T>(sum), accumulate);
  });
}

/** Copies integers; the walk must visit no element twice. */
__device__ inline void copyWords(const Walk& walk, const int32_t* x, int32_t* y, int64_t n, int64_t accumulate) {
  for (int64_t i = firstIndex(); i < n; i += indexStep()) {
    Place place = {};
    moveTo(walk, 0, static_cast<int>(walk.kept), i, place);
    put(y, place.at[1], x[place.at[0]], accumulate);
  }
}

}  // namespace

DAG_KERNELS(binary, THREADS, (int64_t kind, Walk walk, const T* a, const T* b, T* y, int64_t n, int64_t fours),
            (kind, walk, a, b, y, n, fours))
DAG_KERNELS(sumByThread, THREADS,
            (int64_t share, double factor, Walk walk, const T* self, const T* other, const T* gradient, T* to,
             int64_t target, double* partial, int64_t n, int64_t accumulate, int64_t fours),
            (share, factor, walk, self, other, gradient, to, target, partial, n, accumulate, fours))
DAG_KERNELS(sumByBlock, THREADS,
            (int64_t share, double factor, Walk walk, const T* self, const T* other, const T* gradient, T* to,
             int64_t target, double* partial, int64_t n, int64_t accumulate, int64_t fours),
            (share, factor, walk, self, other, gradient, to, target, partial, n, accumulate, fours))
DAG_KERNELS(addWalkSlices, SLICE_THREADS,
            (Walk walk, const double* partial, int64_t slices, T* to, int64_t target, int64_t n, int64_t accumulate),
            (walk, partial, slices, to, target, n, accumulate))
DAG_EXPORT(copyWords_i32, THREADS, (Walk walk, const int32_t* x, int32_t* y, int64_t n, int64_t accumulate),
           (copyWords(walk, x, y, n, accumulate)))
