// Causal multi-head attention, forward and backward, by tiles: scores live in registers and shared memory alone. Dao et
// al., "FlashAttention" (2022), with the sums of each row kept for the backward pass.
//
// A block takes TILE rows of one head, 8 for each of its warps, and walks over the tiles of the other side. In a tile
// every lane has one row of the other side: it makes the dot products with the warp's 8 rows from shared memory, where
// those 8 are read at once by all lanes. What is summed over the other side then has its columns spread over the lanes.
#include "random.h"

namespace {

constexpr int TILE = 32, WARPS = 4, ROWS = TILE / WARPS;

/** batch sequences of `time` positions, `channels` over `heads`; numbers of 8 bytes, as the host packs them. */
struct Attention {
  int64_t batch, time, channels, heads;
  double dropout, low, high;
  const double* lowAt;
};

template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T x[4];
};

/**
 * Numbers from row to row in shared memory: `width` in fours, an odd number of fours, so that rows lie in different
 * banks.
 */
__host__ __device__ constexpr int rowLength(int width) { return ((width + 3) / 4 | 1) * 4; }

/** One head of one sequence. */
struct Head {
  int64_t index, time;
  int width;
  /** Begin of q, k, v in (time, 3·channels), and of the head in (time, channels). */
  int64_t q, k, v, out, step, outStep;

  __device__ Head(const Attention& spec, int64_t head)
      : index(head), time(spec.time), width(static_cast<int>(spec.channels / spec.heads)) {
    const int64_t sequence = head / spec.heads, within = head % spec.heads * width;
    step = 3 * spec.channels;
    outStep = spec.channels;
    q = sequence * time * step + within;
    k = q + spec.channels;
    v = k + spec.channels;
    out = sequence * time * outStep + within;
  }
};

/** Rows first … of a head to shared memory; zeros beyond the last one and beyond the width. */
template <typename T>
__device__ void loadRows(T* tile, const T* from, int64_t begin, int64_t step, int64_t first, const Head& head) {
  const int row = rowLength(head.width);
  for (int i = threadIdx.x; i < TILE * row; i += WARPS * WARP) {
    const int r = i / row, c = i % row;
    const bool inside = first + r < head.time && c < head.width;
    tile[i] = inside ? from[begin + (first + r) * step + c] : T(0);
  }
}

/** out[i] = the warp's row i · this lane's row of `other`. */
template <typename T>
__device__ void dots(T (&out)[ROWS], const T* own, const T* other, int row) {
  const T* const mine = other + laneOf() * row;
#pragma unroll
  for (int i = 0; i < ROWS; i++) out[i] = 0;
  for (int c = 0; c < row; c += 4) {
    const Four<T> x = *reinterpret_cast<const Four<T>*>(mine + c);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const Four<T> y = *reinterpret_cast<const Four<T>*>(own + i * row + c);
#pragma unroll
      for (int j = 0; j < 4; j++) out[i] += x.x[j] * y.x[j];
    }
  }
}

/** sums[i][…] += Σ over the rows of `other` of weights[i][row]·other[row]; lane l has the columns l, l + 32, … */
template <typename T, int PER_LANE>
__device__ void addWeighted(T (&sums)[ROWS][PER_LANE], const T* weights, const T* other, int row) {
  for (int s = 0; s < TILE; s += 4) {
    Four<T> w[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) w[i] = *reinterpret_cast<const Four<T>*>(weights + i * TILE + s);
#pragma unroll
    for (int p = 0; p < PER_LANE; p++) {
      const int c = laneOf() + p * WARP;
      if (c >= row) continue;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const T x = other[(s + j) * row + c];
#pragma unroll
        for (int i = 0; i < ROWS; i++) sums[i][p] += w[i].x[j] * x;
      }
    }
  }
}

/** y = softmax(Q·Kᵀ/√width)·V over no later position (Vaswani et al. 2017, equation 1), and ln Σ exp of each row. */
template <typename T, int PER_LANE>
__device__ void attention(const Attention& spec, const T* qkv, T* y, T* logSums) {
  DAG_DYNAMIC_SHARED(T, shared);
  const Head head(spec, blockIdx.x);
  const int row = rowLength(head.width);
  T* const tileQ = shared;
  T* const tileK = tileQ + TILE * row;
  T* const tileV = tileK + TILE * row;
  T* const weights = tileV + TILE * row + warpOf() * ROWS * TILE;
  const T scale = 1 / sqrtOf(static_cast<T>(head.width));
  const Dropout<T> mask(spec.dropout, spec.low, spec.high, spec.lowAt);
  // The last tiles have the most to do: they begin first.
  const int64_t first = static_cast<int64_t>(gridDim.y - 1 - blockIdx.y) * TILE, mine = first + warpOf() * ROWS;

  T sums[ROWS][PER_LANE] = {};
  T max[ROWS], total[ROWS];
  for (int i = 0; i < ROWS; i++) max[i] = T(-INFINITY), total[i] = 0;
  loadRows(tileQ, qkv, head.q, head.step, first, head);
  for (int64_t keys = 0; keys <= first; keys += TILE) {
    loadRows(tileK, qkv, head.k, head.step, keys, head);
    loadRows(tileV, qkv, head.v, head.step, keys, head);
    __syncthreads();
    T scores[ROWS];
    dots(scores, tileQ + warpOf() * ROWS * row, tileK, row);
    const int64_t key = keys + laneOf();
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int64_t t = mine + i;
      const bool sees = key <= t && t < head.time;
      const T score = sees ? scores[i] * scale : T(-INFINITY);
      const T highest = Max::of(max[i], combineWarp<Max>(score));
      // Nothing yet: exp(−∞ − −∞) would be NaN.
      const T before = highest == T(-INFINITY) ? T(0) : expOf(max[i] - highest);
      const T weight = sees ? expOf(score - highest) : T(0);
      max[i] = highest;
      total[i] = total[i] * before + combineWarp<Sum>(weight);
#pragma unroll
      for (int p = 0; p < PER_LANE; p++) sums[i][p] *= before;
      weights[i * TILE + laneOf()] = sees ? weight * mask.factor((head.index * head.time + t) * head.time + key) : T(0);
    }
    __syncwarp();
    addWeighted(sums, weights, tileV, row);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int64_t t = mine + i;
    if (t >= head.time) continue;
    if (laneOf() == 0) logSums[head.index * head.time + t] = max[i] + logOf(total[i]);
#pragma unroll
    for (int p = 0; p < PER_LANE; p++) {
      const int c = laneOf() + p * WARP;
      if (c < head.width) y[head.out + t * head.outStep + c] = sums[i][p] / total[i];
    }
  }
}

/** deltas (heads, time) = y·dy: Σ p·dp over a row, as y is Σ p·v (Dao et al. 2022, appendix B.2). One warp a row. */
template <typename T>
__device__ void attentionDeltas(const Attention& spec, const T* y, const T* gradY, T* deltas) {
  const int64_t warps = indexStep() / WARP, all = spec.batch * spec.heads * spec.time;
  for (int64_t i = firstIndex() / WARP; i < all; i += warps) {
    const Head head(spec, i / spec.time);
    const int64_t begin = head.out + i % spec.time * head.outStep;
    T sum = 0;
    for (int c = laneOf(); c < head.width; c += WARP) sum += y[begin + c] * gradY[begin + c];
    sum = combineWarp<Sum>(sum);
    if (laneOf() == 0) deltas[i] = sum;
  }
}

/** One weight of the forward pass, dropped as it was there, and the gradient by its score. */
template <typename T>
struct Weight {
  T dropped, gradient;

  __device__ Weight(T dot, T gradDot, T scale, T logSum, T delta, T factor) {
    const T p = expOf(dot * scale - logSum);
    dropped = p * factor;
    gradient = p * (gradDot * factor - delta) * scale;
  }
};

/** The gradient of Q: a block has rows of Q and walks over K and V. */
template <typename T, int PER_LANE>
__device__ void attentionGradQ(const Attention& spec, const T* qkv, const T* logSums, const T* deltas, const T* gradY,
                               T* gradQkv, int64_t accumulate) {
  DAG_DYNAMIC_SHARED(T, shared);
  const Head head(spec, blockIdx.x);
  const int row = rowLength(head.width);
  T* const tileQ = shared;
  T* const tileG = tileQ + TILE * row;
  T* const tileK = tileG + TILE * row;
  T* const tileV = tileK + TILE * row;
  T* const weights = tileV + TILE * row + warpOf() * ROWS * TILE;
  const T scale = 1 / sqrtOf(static_cast<T>(head.width));
  const Dropout<T> mask(spec.dropout, spec.low, spec.high, spec.lowAt);
  const int64_t first = static_cast<int64_t>(gridDim.y - 1 - blockIdx.y) * TILE, mine = first + warpOf() * ROWS;

  T sums[ROWS][PER_LANE] = {};
  loadRows(tileQ, qkv, head.q, head.step, first, head);
  loadRows(tileG, gradY, head.out, head.outStep, first, head);
  for (int64_t keys = 0; keys <= first; keys += TILE) {
    loadRows(tileK, qkv, head.k, head.step, keys, head);
    loadRows(tileV, qkv, head.v, head.step, keys, head);
    __syncthreads();
    T scores[ROWS], gradWeights[ROWS];
    dots(scores, tileQ + warpOf() * ROWS * row, tileK, row);
    dots(gradWeights, tileG + warpOf() * ROWS * row, tileV, row);
    const int64_t key = keys + laneOf();
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int64_t t = mine + i, line = head.index * head.time + t;
      T gradient = 0;
      if (key <= t && t < head.time)
        gradient = Weight<T>(scores[i], gradWeights[i], scale, logSums[line], deltas[line],
                             mask.factor(line * head.time + key)).gradient;
      weights[i * TILE + laneOf()] = gradient;
    }
    __syncwarp();
    addWeighted(sums, weights, tileK, row);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int p = 0; p < PER_LANE; p++) {
      const int64_t t = mine + i;
      const int c = laneOf() + p * WARP;
      if (t < head.time && c < head.width) put(gradQkv, head.q + t * head.step + c, sums[i][p], accumulate);
    }
}

/** The gradients of K and V: a block has rows of both and walks over Q from there on. */
template <typename T, int PER_LANE>
__device__ void attentionGradKV(const Attention& spec, const T* qkv, const T* logSums, const T* deltas, const T* gradY,
                                T* gradQkv, int64_t accumulate) {
  DAG_DYNAMIC_SHARED(T, shared);
  const Head head(spec, blockIdx.x);
  const int row = rowLength(head.width);
  T* const tileK = shared;
  T* const tileV = tileK + TILE * row;
  T* const tileQ = tileV + TILE * row;
  T* const tileG = tileQ + TILE * row;
  T* const gradients = tileG + TILE * row + warpOf() * 2 * ROWS * TILE;
  T* const weights = gradients + ROWS * TILE;
  const T scale = 1 / sqrtOf(static_cast<T>(head.width));
  const Dropout<T> mask(spec.dropout, spec.low, spec.high, spec.lowAt);
  const int64_t first = static_cast<int64_t>(blockIdx.y) * TILE, mine = first + warpOf() * ROWS;

  T sumsK[ROWS][PER_LANE] = {}, sumsV[ROWS][PER_LANE] = {};
  loadRows(tileK, qkv, head.k, head.step, first, head);
  loadRows(tileV, qkv, head.v, head.step, first, head);
  for (int64_t queries = first; queries < head.time; queries += TILE) {
    loadRows(tileQ, qkv, head.q, head.step, queries, head);
    loadRows(tileG, gradY, head.out, head.outStep, queries, head);
    __syncthreads();
    T scores[ROWS], gradWeights[ROWS];
    dots(scores, tileK + warpOf() * ROWS * row, tileQ, row);
    dots(gradWeights, tileV + warpOf() * ROWS * row, tileG, row);
    const int64_t t = queries + laneOf(), line = head.index * head.time + t;
    const T logSum = t < head.time ? logSums[line] : T(0), delta = t < head.time ? deltas[line] : T(0);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int64_t key = mine + i;
      T gradient = 0, dropped = 0;
      if (key <= t && t < head.time) {
        const Weight<T> weight(scores[i], gradWeights[i], scale, logSum, delta, mask.factor(line * head.time + key));
        gradient = weight.gradient;
        dropped = weight.dropped;
      }
      gradients[i * TILE + laneOf()] = gradient;
      weights[i * TILE + laneOf()] = dropped;
    }
    __syncwarp();
    addWeighted(sumsK, gradients, tileQ, row);
    addWeighted(sumsV, weights, tileG, row);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int p = 0; p < PER_LANE; p++) {
      const int64_t key = mine + i;
      const int c = laneOf() + p * WARP;
      if (key >= head.time || c >= head.width) continue;
      put(gradQkv, head.k + key * head.step + c, sumsK[i][p], accumulate);
      put(gradQkv, head.v + key * head.step + c, sumsV[i][p], accumulate);
    }
}

}  // namespace

/** Kernels for heads of up to 32·PER_LANE. */
#define DAG_ATTENTION(dtype, T, PER_LANE)                                                                              \
  DAG_EXPORT(attention##PER_LANE##_##dtype, WARPS* WARP, (Attention spec, const T* qkv, T* y, T* logSums),             \
             (attention<T, PER_LANE>(spec, qkv, y, logSums)))                                                          \
  DAG_EXPORT(attentionGradQ##PER_LANE##_##dtype, WARPS* WARP,                                                          \
             (Attention spec, const T* qkv, const T* logSums, const T* deltas, const T* gradY, T* gradQkv,             \
              int64_t accumulate),                                                                                     \
             (attentionGradQ<T, PER_LANE>(spec, qkv, logSums, deltas, gradY, gradQkv, accumulate)))                    \
  DAG_EXPORT(attentionGradKV##PER_LANE##_##dtype, WARPS* WARP,                                                         \
             (Attention spec, const T* qkv, const T* logSums, const T* deltas, const T* gradY, T* gradQkv,             \
              int64_t accumulate),                                                                                     \
             (attentionGradKV<T, PER_LANE>(spec, qkv, logSums, deltas, gradY, gradQkv, accumulate)))

DAG_ATTENTION(f32, float, 1)
DAG_ATTENTION(f32, float, 2)
DAG_ATTENTION(f32, float, 4)
DAG_ATTENTION(f64, double, 4)

DAG_KERNELS(attentionDeltas, THREADS, (Attention spec, const T* y, const T* gradY, T* deltas),
            (spec, y, gradY, deltas))
