// Causal multi-head attention, forward and backward, by tiles: scores exist only in registers and shared memory. After Dao et
// al., "FlashAttention" (2022); the log-sum-exp of each row is saved for the backward pass.
//
// A tile is TILE rows of one head. A tile of Q and one of K give TILE × TILE scores; every thread computes ROWS × 4 of them in
// registers. Sequences of one tile (`attentionShort`) have their whole backward pass in one block. For longer ones there are two
// kernels, one for the gradient of Q and one for those of K and V; a block takes a tile of its side and walks over the tiles of the
// other.
#include "fours.h"
#include "random.h"

namespace {

constexpr int TILE = 32;

/** `batch` sequences of `time` positions, with `channels` divided among `heads`; all fields have 8 bytes, as the host packs them. */
struct Attention {
  int64_t batch, time, channels, heads;
  double dropout, low, high;
  const double* lowAt;
};

template <typename T>
__device__ const Four<T>& fourAt(const T* from) { return *reinterpret_cast<const Four<T>*>(from); }
template <typename T>
__device__ Four<T>& fourAt(T* from) { return *reinterpret_cast<Four<T>*>(from); }

/** One head of one sequence. */
struct Head {
  int64_t index, time;
  int width;
  /** Row stride of a tile in shared memory, in numbers: an odd number of fours, so that rows start in different banks. */
  int row;
  /** Offsets of q, k, v in (time, 3·channels), and of the head in (time, channels); their row strides. */
  int64_t q, k, v, out, step, outStep;

  __device__ Head(const Attention& spec)
      : index(blockIdx.x), time(spec.time), width(static_cast<int>(spec.channels / spec.heads)),
        row((fours() | 1) * 4) {
    const int64_t sequence = index / spec.heads, within = index % spec.heads * width;
    step = 3 * spec.channels;
    outStep = spec.channels;
    q = sequence * time * step + within;
    k = q + spec.channels;
    v = k + spec.channels;
    out = sequence * time * outStep + within;
  }

  /** Number of fours in a row; the last one may be padded with zeros. */
  __device__ int fours() const { return (width + 3) / 4; }
};

/** The rows of a head in global memory, stored as S. */
template <typename S>
struct Lines {
  S* begin;
  int64_t step, time;
  int width;
  /** Whether four contiguous numbers can be read at once. */
  bool byFour;

  __device__ Lines(S* begin, int64_t step, const Head& head)
      : begin(begin), step(step), time(head.time), width(head.width),
        byFour(width % 4 == 0 && step % 4 == 0 && reinterpret_cast<uintptr_t>(begin) % sizeof(Four<S>) == 0) {}

  /** Writes or adds four numbers of row t from column c on, except beyond the end. */
  template <typename T>
  __device__ void put(int64_t t, int c, const Four<T>& value, bool accumulate) const {
    if (t >= time || c >= width) return;
    S* const to = begin + t * step + c;
    if (byFour) {
      Four<T> sum = accumulate ? loadFour(to) : Four<T>{};
#pragma unroll
      for (int j = 0; j < 4; j++) sum.at[j] = accumulate ? sum.at[j] + value.at[j] : value.at[j];
      storeFour(to, sum);
      return;
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (c + j < width) ::put(to, j, value.at[j], accumulate);
  }
};

/**
 * The part of a tile that this thread computes: rows row + i·STEP; of scores the columns column + 8·j, of other matrices the fours
 * column + 8·p. The lanes of a warp have four rows and eight columns. Their bits are mixed so that neighbouring lanes read the same
 * four in shared memory, which halves the time of these reads.
 */
template <int ROWS>
struct Place {
  static constexpr int STEP = TILE / ROWS, THREADS = 8 * STEP;
  int row, column;

  __device__ Place()
      : row(warpOf() * 4 + (laneOf() >> 1 & 1) + (laneOf() >> 3 & 2)), column((laneOf() & 1) + (laneOf() >> 1 & 6)) {}

  /** The lane with the same row whose column within its four is `column`. */
  __device__ static int laneInFour(int column) { return (laneOf() & ~5) + (column & 1) + (column >> 1) * 4; }

  /** Combines the values of all columns of a row. */
  template <typename Op, typename T>
  __device__ static T combine(T x) {
    x = Op::of(x, __shfl_xor_sync(ALL_LANES, x, 1));
    x = Op::of(x, __shfl_xor_sync(ALL_LANES, x, 4));
    return Op::of(x, __shfl_xor_sync(ALL_LANES, x, 8));
  }
};

/** Rows of a head, stored as S, loaded into registers and then stored to shared memory; zeros beyond the last row and the width. */
template <typename S, int ROWS, int PER>
struct Rows {
  using T = Computed<S>;
  Four<T> x[ROWS][PER];

  __device__ static int row(int i) { return threadIdx.x / 8 + i * Place<ROWS>::STEP; }
  __device__ static int column(int p) { return (threadIdx.x % 8 + p * 8) * 4; }

  __device__ Rows(const Lines<const S>& from, int64_t first) : x() {
    if (from.byFour) {
#pragma unroll
      for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int p = 0; p < PER; p++)
          if (first + row(i) < from.time && column(p) < from.width)
            x[i][p] = loadFour(from.begin + (first + row(i)) * from.step + column(p));
      return;
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
      for (int p = 0; p < PER; p++)
#pragma unroll
        for (int j = 0; j < 4; j++)
          if (first + row(i) < from.time && column(p) + j < from.width)
            x[i][p].at[j] = T(from.begin[(first + row(i)) * from.step + column(p) + j]);
  }

  __device__ void store(T* tile, const Head& head) const {
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
      for (int p = 0; p < PER; p++)
        if (column(p) < head.row) fourAt(tile + row(i) * head.row + column(p)) = x[i][p];
  }
};

/** Loads two tiles at once, so that both loads overlap. */
template <typename S, int ROWS, int PER>
__device__ void loadRows(Computed<S>* tileA, const Lines<const S>& a, Computed<S>* tileB, const Lines<const S>& b,
                         int64_t first, const Head& head) {
  const Rows<S, ROWS, PER> rowsA(a, first), rowsB(b, first);
  rowsA.store(tileA, head);
  rowsB.store(tileB, head);
}

/**
 * Whether rows i·STEP … (i + 1)·STEP − 1 and the eight columns from 8·j on have an element at or below the diagonal, where scores are
 * not masked. Always true for sequences of more than one tile.
 */
template <bool SHORT, int ROWS>
__device__ constexpr bool sees(int i, int j) { return !SHORT || j * 8 < Place<ROWS>::STEP * (i + 1); }
/** The same for the transposed tile: an element at or above the diagonal. */
template <bool SHORT, int ROWS>
__device__ constexpr bool isSeen(int i, int j) { return !SHORT || j * 8 + 7 >= Place<ROWS>::STEP * i; }

/** out[i][j] = row i of `a` · row j of `b`. */
template <bool SHORT, typename T, int ROWS>
__device__ void dots(T (&out)[ROWS][4], const T* a, const T* b, const Place<ROWS>& place, const Head& head) {
  a += place.row * head.row;
  b += place.column * head.row;
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) out[i][j] = 0;
#pragma unroll (SHORT ? 2 : 1)
  for (int c = 0; c < head.width; c += 4) {
    Four<T> x[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) x[i] = fourAt(a + i * place.STEP * head.row + c);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const Four<T> y = fourAt(b + j * 8 * head.row + c);
#pragma unroll
      for (int i = 0; i < ROWS; i++)
        if (sees<SHORT, ROWS>(i, j)) {
#pragma unroll
          for (int n = 0; n < 4; n++) out[i][j] += x[i].at[n] * y.at[n];
        }
    }
  }
}

/**
 * The index of weight (row, column) of a tile in shared memory. The fours of a row are swizzled to avoid bank conflicts when a warp
 * writes its rows and columns, when it writes them transposed, and when it reads a four of several rows.
 */
__device__ inline int weightAt(int row, int column) {
  return row * TILE + (column / 4 ^ ((row & 3) * 2 + (row >> 2 & 1))) * 4 + column % 4;
}

template <bool SHORT, bool TRANSPOSED, typename T, int ROWS>
__device__ void storeWeights(T* weights, const T (&own)[ROWS][4], const Place<ROWS>& place) {
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (!sees<SHORT, ROWS>(i, j)) continue;
      const int row = place.row + i * place.STEP, column = place.column + j * 8;
      weights[TRANSPOSED ? weightAt(column, row) : weightAt(row, column)] = own[i][j];
    }
}

/** sums[i][p] += Σ over k of weights[row i][k]·other[k]; in a short sequence only over the weights that `storeWeights` has written. */
template <bool SHORT, bool TRANSPOSED, typename T, int ROWS, int PER>
__device__ void addWeighted(Four<T> (&sums)[ROWS][PER], const T* weights, const T* other, const Place<ROWS>& place,
                            const Head& head) {
  const T* columns[PER];
#pragma unroll
  for (int p = 0; p < PER; p++) {
    // The results of fours beyond the width are never written, so the first four is read instead.
    const int four = place.column + p * 8;
    columns[p] = other + (four < head.fours() ? four : 0) * 4;
  }
#pragma unroll
  for (int j = 0; j < TILE / 8; j++) {
    if (SHORT && j * 8 >= head.time) break;
#pragma unroll 1
    for (int k = j * 8; k < j * 8 + 8; k += 4) {
      Four<T> w[ROWS] = {};
#pragma unroll
      for (int i = 0; i < ROWS; i++)
        if (TRANSPOSED ? isSeen<SHORT, ROWS>(i, j) : sees<SHORT, ROWS>(i, j))
          w[i] = fourAt(weights + weightAt(place.row + i * place.STEP, k));
#pragma unroll
      for (int n = 0; n < 4; n++)
#pragma unroll
        for (int p = 0; p < PER; p++) {
          const Four<T> x = fourAt(columns[p] + (k + n) * head.row);
#pragma unroll
          for (int i = 0; i < ROWS; i++)
            if (TRANSPOSED ? isSeen<SHORT, ROWS>(i, j) : sees<SHORT, ROWS>(i, j)) {
#pragma unroll
              for (int e = 0; e < 4; e++) sums[i][p].at[e] += w[i].at[n] * x.at[e];
            }
        }
    }
  }
}

template <typename S, typename T, int ROWS, int PER>
__device__ void putRows(const Lines<S>& to, int64_t first, const Four<T> (&sums)[ROWS][PER], bool accumulate,
                        const Place<ROWS>& place) {
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int p = 0; p < PER; p++)
      to.put(first + place.row + i * place.STEP, (place.column + p * 8) * 4, sums[i][p], accumulate);
}

/** One bit for each of elements i … i + 3: whether dropout keeps it. */
template <typename T>
__device__ uint32_t keptOfFour(const Dropout<T>& mask, int64_t i) {
  const auto kept = [&](int64_t block) {
    // Inlined, because a call would spill this thread's registers.
    const Words words = philox(mask.k0, mask.k1, static_cast<uint64_t>(block));
    uint32_t bits = 0;
#pragma unroll
    for (int n = 0; n < 4; n++) bits += static_cast<uint32_t>(words.word[n] >= mask.threshold) << n;
    return bits;
  };
  const int within = static_cast<int>(i % 4);
  uint32_t bits = kept(i / 4) >> within;
  if (within != 0) bits |= kept(i / 4 + 1) << (4 - within);
  return bits & 15;
}

/** Dropout of this thread's scores. Four lanes share four columns of ROWS rows, and divide the calls of the generator among them. */
template <typename T, int ROWS>
struct Kept {
  /** The bits that each of the four lanes has computed: bit 4·j + column belongs to score (i, j). */
  uint32_t bits[4];
  int column;
  T scale;

  __device__ Kept(const Dropout<T>& mask, const Head& head, int64_t first, int64_t keys, const Place<ROWS>& place)
      : column(place.column % 4), scale(mask.scale) {
    uint32_t own = ~0u;
    if (mask.threshold != 0) {
      own = 0;
      const int64_t t = first + place.row + column % ROWS * place.STEP;
      const int64_t begin = (head.index * head.time + t) * head.time + keys + (place.column & 4);
#pragma unroll 1
      for (int j = column / ROWS; j < 4; j += 4 / ROWS) own |= keptOfFour(mask, begin + j * 8) << 4 * j;
    }
#pragma unroll
    for (int n = 0; n < 4; n++) bits[n] = __shfl_sync(ALL_LANES, own, place.laneInFour(n));
  }

  /** The dropout factor of score (i, j). */
  __device__ T factor(int i, int j) const {
    return bits[i + j % (4 / ROWS) * ROWS] >> (4 * j + column) & 1 ? scale : T(0);
  }
};

/** y = softmax(Q·Kᵀ/√width)·V with a causal mask (Vaswani et al. 2017, equation 1), and the log-sum-exp of each row. */
template <bool SHORT, typename S, int ROWS, int PER>
__device__ void attention(const Attention& spec, const S* qkv, S* y, Computed<S>* logSums) {
  using T = Computed<S>;
  DAG_DYNAMIC_SHARED(T, shared);
  const Head head(spec);
  const Place<ROWS> place;
  T* const tileQ = shared;
  T* const tileV = tileQ + TILE * head.row;
  T* const tileK = tileV + TILE * head.row;
  // Reuses the memory of K.
  T* const weights = tileK;
  const Lines<const S> q(qkv + head.q, head.step, head), k(qkv + head.k, head.step, head),
      v(qkv + head.v, head.step, head);
  const T scale = 1 / sqrtOf(static_cast<T>(head.width));
  const Dropout<T> mask(spec.dropout, spec.low, spec.high, spec.lowAt);
  // The last tiles have the most work, so they start first.
  const int64_t first = SHORT ? 0 : static_cast<int64_t>(gridDim.y - 1 - blockIdx.y) * TILE;

  Four<T> sums[ROWS][PER] = {};
  T max[ROWS], total[ROWS];
  for (int i = 0; i < ROWS; i++) max[i] = T(-INFINITY), total[i] = 0;
  Rows<S, ROWS, PER>(q, first).store(tileQ, head);
  for (int64_t keys = 0; keys <= first; keys += TILE) {
    loadRows<S, ROWS, PER>(tileK, k, tileV, v, keys, head);
    const Kept<T, ROWS> kept(mask, head, first, keys, place);
    __syncthreads();
    T scores[ROWS][4];
    dots<SHORT>(scores, tileQ, tileK, place, head);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int64_t t = first + place.row + i * place.STEP;
      T highest = max[i];
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (!sees<SHORT, ROWS>(i, j)) continue;
        scores[i][j] = keys + place.column + j * 8 <= t ? scores[i][j] * scale : T(-INFINITY);
        highest = Max::of(highest, scores[i][j]);
      }
      highest = place.template combine<Max>(highest);
      // exp(−∞ − −∞) would be NaN.
      const T shift = highest == T(-INFINITY) ? T(0) : highest;
      const T before = SHORT ? T(0) : expOf(max[i] - shift);
      T sum = 0;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (!sees<SHORT, ROWS>(i, j)) continue;
        const T weight = expOf(scores[i][j] - shift);
        sum += weight;
        scores[i][j] = weight * kept.factor(i, j);
      }
      max[i] = highest;
      total[i] = total[i] * before + place.template combine<Sum>(sum);
#pragma unroll
      for (int p = 0; p < PER; p++)
#pragma unroll
        for (int e = 0; e < 4; e++) sums[i][p].at[e] *= before;
    }
    __syncthreads();
    storeWeights<SHORT, false>(weights, scores, place);
    __syncthreads();
    addWeighted<SHORT, false>(sums, weights, tileV, place, head);
    if (!SHORT) __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int64_t t = first + place.row + i * place.STEP;
    if (place.column == 0 && t < head.time) logSums[head.index * head.time + t] = max[i] + logOf(total[i]);
    const T share = 1 / total[i];
#pragma unroll
    for (int p = 0; p < PER; p++)
#pragma unroll
      for (int e = 0; e < 4; e++) sums[i][p].at[e] *= share;
  }
  putRows(Lines<S>(y + head.out, head.outStep, head), first, sums, false, place);
}

/** Shared memory of the backward kernels: tiles of Q, K, the gradient of y, and V; more may follow. */
template <typename T>
struct BackwardTiles {
  T *q, *k, *g, *v, *rest;

  __device__ BackwardTiles(T* shared, const Head& head)
      : q(shared), k(q + TILE * head.row), g(k + TILE * head.row), v(g + TILE * head.row), rest(v + TILE * head.row) {}
};

/**
 * For a tile of Q and one of K: the weights of the forward pass with the same dropout, and the gradients with respect to scores. In
 * short sequences the deltas (see attentionGradQ) are computed here, as Σ p·dp.
 */
template <bool SHORT, typename T, int ROWS>
struct Weights {
  T dropped[ROWS][4], gradients[ROWS][4];

  __device__ Weights(const BackwardTiles<T>& tiles, const T* logSums, const T* deltas, const Kept<T, ROWS>& kept,
                     int64_t first, int64_t keys, const Place<ROWS>& place, const Head& head) {
    const T scale = 1 / sqrtOf(static_cast<T>(head.width));
    T logSum[ROWS], delta[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int64_t t = first + place.row + i * place.STEP, line = head.index * head.time + t;
      // Beyond the last row Q and the gradient are zeros, so that nothing is added.
      logSum[i] = t < head.time ? logSums[line] : T(0);
      delta[i] = SHORT || t >= head.time ? T(0) : deltas[line];
    }
    dots<SHORT>(dropped, tiles.q, tiles.k, place, head);
    dots<SHORT>(gradients, tiles.g, tiles.v, place, head);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int64_t t = first + place.row + i * place.STEP;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (!sees<SHORT, ROWS>(i, j)) continue;
        const bool within = keys + place.column + j * 8 <= t;
        dropped[i][j] = within ? expOf(dropped[i][j] * scale - logSum[i]) : T(0);
        gradients[i][j] = within ? gradients[i][j] * kept.factor(i, j) : T(0);
        if (SHORT) delta[i] += dropped[i][j] * gradients[i][j];
      }
      if (SHORT) delta[i] = place.template combine<Sum>(delta[i]);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (!sees<SHORT, ROWS>(i, j)) continue;
        const bool within = keys + place.column + j * 8 <= t;
        gradients[i][j] = within ? dropped[i][j] * (gradients[i][j] - delta[i]) * scale : T(0);
        dropped[i][j] *= kept.factor(i, j);
      }
    }
  }
};

/** Writes rows of a gradient in (time, 3·channels): the weights of a short sequence times `other`. */
template <bool TRANSPOSED, int PER, typename S, typename T, int ROWS>
__device__ void putWeighted(S* to, const T* weights, const T* other, bool accumulate, const Place<ROWS>& place,
                            const Head& head) {
  Four<T> sums[ROWS][PER] = {};
  addWeighted<true, TRANSPOSED>(sums, weights, other, place, head);
  putRows(Lines<S>(to, head.step, head), 0, sums, accumulate, place);
}

/** All gradients of a sequence of one tile. */
template <typename S, int ROWS, int PER>
__device__ void attentionShortBackward(const Attention& spec, const S* qkv, const Computed<S>* logSums, const S* gradY,
                                       S* gradQkv, int64_t accumulate) {
  using T = Computed<S>;
  DAG_DYNAMIC_SHARED(T, shared);
  const Head head(spec);
  const Place<ROWS> place;
  const BackwardTiles<T> tiles(shared, head);
  // Reuses the memory of V.
  T* const weights = tiles.v;
  T* const gradients = weights + TILE * TILE;
  loadRows<S, ROWS, PER>(tiles.q, Lines<const S>(qkv + head.q, head.step, head),  //
                         tiles.k, Lines<const S>(qkv + head.k, head.step, head), 0, head);
  loadRows<S, ROWS, PER>(tiles.v, Lines<const S>(qkv + head.v, head.step, head),  //
                         tiles.g, Lines<const S>(gradY + head.out, head.outStep, head), 0, head);
  const Dropout<T> mask(spec.dropout, spec.low, spec.high, spec.lowAt);
  const Kept<T, ROWS> kept(mask, head, 0, 0, place);
  __syncthreads();
  const Weights<true, T, ROWS> own(tiles, logSums, nullptr, kept, 0, 0, place, head);
  __syncthreads();
  storeWeights<true, true>(weights, own.dropped, place);
  storeWeights<true, true>(gradients, own.gradients, place);
  __syncthreads();
  putWeighted<true, PER>(gradQkv + head.v, weights, tiles.g, accumulate, place, head);
  putWeighted<true, PER>(gradQkv + head.k, gradients, tiles.q, accumulate, place, head);
  __syncthreads();
  storeWeights<true, false>(weights, own.gradients, place);
  __syncthreads();
  putWeighted<false, PER>(gradQkv + head.q, weights, tiles.k, accumulate, place, head);
}

/**
 * The gradient of Q: a block has rows of Q and walks over K and V. It also computes the deltas (heads, time), y·dy, which equals Σ p·dp
 * over a row because y is Σ p·v (Dao et al. 2022, appendix B.2).
 */
template <typename S, int ROWS, int PER>
__device__ void attentionGradQ(const Attention& spec, const S* qkv, const S* y, const Computed<S>* logSums,
                               Computed<S>* deltas, const S* gradY, S* gradQkv, int64_t accumulate) {
  using T = Computed<S>;
  DAG_DYNAMIC_SHARED(T, shared);
  const Head head(spec);
  const Place<ROWS> place;
  const BackwardTiles<T> tiles(shared, head);
  // Reuses the memory of V.
  T* const gradients = tiles.v;
  const Lines<const S> k(qkv + head.k, head.step, head), v(qkv + head.v, head.step, head);
  const Dropout<T> mask(spec.dropout, spec.low, spec.high, spec.lowAt);
  const int64_t first = static_cast<int64_t>(gridDim.y - 1 - blockIdx.y) * TILE;

  using Rows = Rows<S, ROWS, PER>;
  const Rows rowsG(Lines<const S>(gradY + head.out, head.outStep, head), first);
  const Rows rowsY(Lines<const S>(y + head.out, head.outStep, head), first);
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    T sum = 0;
#pragma unroll
    for (int p = 0; p < PER; p++)
#pragma unroll
      for (int e = 0; e < 4; e++) sum += rowsY.x[i][p].at[e] * rowsG.x[i][p].at[e];
    for (int step = 4; step > 0; step /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, step);
    const int64_t t = first + Rows::row(i);
    if (laneOf() % 8 == 0 && t < head.time) deltas[head.index * head.time + t] = sum;
  }
  rowsG.store(tiles.g, head);
  Rows(Lines<const S>(qkv + head.q, head.step, head), first).store(tiles.q, head);
  Four<T> sums[ROWS][PER] = {};
  for (int64_t keys = 0; keys <= first; keys += TILE) {
    loadRows<S, ROWS, PER>(tiles.k, k, tiles.v, v, keys, head);
    const Kept<T, ROWS> kept(mask, head, first, keys, place);
    __syncthreads();
    const Weights<false, T, ROWS> own(tiles, logSums, deltas, kept, first, keys, place, head);
    __syncthreads();
    storeWeights<false, false>(gradients, own.gradients, place);
    __syncthreads();
    addWeighted<false, false>(sums, gradients, tiles.k, place, head);
    __syncthreads();
  }
  putRows(Lines<S>(gradQkv + head.q, head.step, head), first, sums, accumulate, place);
}

/** The gradients of K and V: a block has rows of both and walks over the rows of Q from its own position on. */
template <typename S, int ROWS, int PER>
__device__ void attentionGradKV(const Attention& spec, const S* qkv, const Computed<S>* logSums, const Computed<S>* deltas,
                                const S* gradY, S* gradQkv, int64_t accumulate) {
  using T = Computed<S>;
  DAG_DYNAMIC_SHARED(T, shared);
  const Head head(spec);
  const BackwardTiles<T> tiles(shared, head);
  T* const weights = tiles.rest;
  T* const gradients = weights + TILE * TILE;
  const Lines<const S> q(qkv + head.q, head.step, head), g(gradY + head.out, head.outStep, head);
  const Dropout<T> mask(spec.dropout, spec.low, spec.high, spec.lowAt);
  const int64_t keys = static_cast<int64_t>(blockIdx.y) * TILE;

  Four<T> sumsK[ROWS][PER] = {}, sumsV[ROWS][PER] = {};
  loadRows<S, ROWS, PER>(tiles.k, Lines<const S>(qkv + head.k, head.step, head),  //
                         tiles.v, Lines<const S>(qkv + head.v, head.step, head), keys, head);
  for (int64_t first = keys; first < head.time; first += TILE) {
    loadRows<S, ROWS, PER>(tiles.q, q, tiles.g, g, first, head);
    // What follows from the place would take registers that the loads need.
    Place<ROWS> place;
    hide(place.row, place.column);
    const Kept<T, ROWS> kept(mask, head, first, keys, place);
    __syncthreads();
    const Weights<false, T, ROWS> own(tiles, logSums, deltas, kept, first, keys, place, head);
    storeWeights<false, true>(weights, own.dropped, place);
    storeWeights<false, true>(gradients, own.gradients, place);
    __syncthreads();
    addWeighted<false, true>(sumsV, weights, tiles.g, place, head);
    addWeighted<false, true>(sumsK, gradients, tiles.q, place, head);
    __syncthreads();
  }
  const Place<ROWS> place;
  putRows(Lines<S>(gradQkv + head.k, head.step, head), keys, sumsK, accumulate, place);
  putRows(Lines<S>(gradQkv + head.v, head.step, head), keys, sumsV, accumulate, place);
}

}  // namespace

/** Launch bounds: threads per block, and blocks per multiprocessor. */
#ifdef DAG_EMULATED
#define DAG_BLOCKS(threads, blocks) threads
#else
#define DAG_BLOCKS(threads, blocks) threads, blocks
#endif

/**
 * Kernels for heads of width up to 32·PER, stored as S; a thread has ROWS rows of a tile. BLOCKS blocks per multiprocessor fit into shared
 * memory.
 */
#define DAG_ATTENTION(dtype, S, PER, ROWS, BLOCKS)                                                                     \
  DAG_EXPORT(attentionShort##PER##_##dtype, Place<ROWS>::THREADS,                                                      \
             (Attention spec, const S* qkv, S* y, Computed<S>* logSums),                                               \
             (attention<true, S, ROWS, PER>(spec, qkv, y, logSums)))                                                   \
  DAG_EXPORT(attention##PER##_##dtype, Place<ROWS>::THREADS, (Attention spec, const S* qkv, S* y, Computed<S>* logSums), \
             (attention<false, S, ROWS, PER>(spec, qkv, y, logSums)))                                                  \
  DAG_EXPORT(attentionShortBackward##PER##_##dtype, Place<ROWS>::THREADS,                                              \
             (Attention spec, const S* qkv, const Computed<S>* logSums, const S* gradY, S* gradQkv, int64_t accumulate), \
             (attentionShortBackward<S, ROWS, PER>(spec, qkv, logSums, gradY, gradQkv, accumulate)))                   \
  DAG_EXPORT(attentionGradQ##PER##_##dtype, Place<ROWS>::THREADS,                                                      \
             (Attention spec, const S* qkv, const S* y, const Computed<S>* logSums, Computed<S>* deltas, const S* gradY, \
              S* gradQkv, int64_t accumulate),                                                                         \
             (attentionGradQ<S, ROWS, PER>(spec, qkv, y, logSums, deltas, gradY, gradQkv, accumulate)))                \
  DAG_EXPORT(attentionGradKV##PER##_##dtype, DAG_BLOCKS(Place<ROWS>::THREADS, BLOCKS),                                 \
             (Attention spec, const S* qkv, const Computed<S>* logSums, const Computed<S>* deltas, const S* gradY,     \
              S* gradQkv, int64_t accumulate),                                                                         \
             (attentionGradKV<S, ROWS, PER>(spec, qkv, logSums, deltas, gradY, gradQkv, accumulate)))

DAG_ATTENTION(f32, float, 1, 4, 5)
DAG_ATTENTION(f32, float, 2, 4, 5)
DAG_ATTENTION(f32, float, 4, 2, 3)
DAG_ATTENTION(bf16, bf16, 1, 4, 5)
DAG_ATTENTION(bf16, bf16, 2, 4, 5)
DAG_ATTENTION(bf16, bf16, 4, 2, 3)
DAG_ATTENTION(f64, double, 1, 4, 4)
DAG_ATTENTION(f64, double, 2, 2, 2)
DAG_ATTENTION(f64, double, 4, 2, 1)
