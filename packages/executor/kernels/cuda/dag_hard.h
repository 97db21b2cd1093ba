// Plans that are hard in the simplest way, which those of expressions are: gates 0 and 1, coefficients −1, 0 and 1,
// signs ±1, and no number that comes near to what a double can hold. dag.cu includes it, and takes there all that is
// otherwise.
//
// All threads of a warp do the same: a term is a condition on an operation, not a turn of a loop, and nodes are in
// registers. Only divisions and the gradients of products go from term to term of each thread, as many times as the
// thread with the most of them: a division is ten times a product. They read nodes from shared memory. The operations are
// those of kernels/dag_step.h in the same order but for factors of 1, so a row has the same bits here as there, and does
// not depend on the rows beside it. What is not looked at again, infinite and undefined numbers above all, cannot occur:
// with nodes of 2^±60 or 0, products of any of them are of 2^±420, and gradients of nodes that go in are looked at.
//
// Plans are read and their gradients written as they lie in memory, 16 bytes a thread; in shared memory, where each thread
// has one plan, piece p of plan r lies at p ⊕ (r mod 8), in eight times four banks that are others for neighbours in both.
#pragma once

namespace {

/** High words of 2^-60 and 2^60, and the largest gradient of a node. */
constexpr uint32_t LEAST_NODE = (1023u - 60) << 20, MOST_NODE = (1023u + 60) << 20;
constexpr double MOST_GRADIENT = 0x1p58;

__device__ inline double sizeOf(double x) { return __builtin_fabs(x); }
__device__ inline float sizeOf(float x) { return __builtin_fabsf(x); }

__device__ inline bool isMagnitudeOfHard(double m) {
  return wordOf(m) == 0 || highWord(m) - LEAST_NODE < MOST_NODE - LEAST_NODE;
}

/** x divided by the nodes of `terms`, a bit each, in their order. */
__device__ inline double dividedBy(double x, uint32_t terms, const double* nodes) {
#pragma unroll 1
  for (; terms; terms &= terms - 1) x /= sizeOf(nodes[lowestBit(terms) * WARP]);
  return x;
}

/** Numbers of a row, pieces of 16 bytes. */
template <int COUNT, typename T>
__device__ void readPieces(const T* from, T (&to)[COUNT]) {
  constexpr int N = 16 / sizeof(T);
#pragma unroll
  for (int p = 0; p < COUNT / N; p++) {
    const auto piece = reinterpret_cast<const Piece<T, N>*>(from)[p];
#pragma unroll
    for (int n = 0; n < N; n++) to[p * N + n] = piece.of[n];
  }
}

/** Up to 32 graphs, and their memory as the host counts it in backends/cuda/dag.ts. */
template <typename T, bool BACKWARD, int DEPTH>
struct HardTile {
  static constexpr int WIDTH = 2 * DEPTH, NODES = WIDTH - 1;
  /** Numbers of a piece, and pieces of a plan, of a row of nodes and of half of it. */
  static constexpr int N = 16 / sizeof(T), PIECES = WIDTH * DEPTH / N, ROW = WIDTH / N, HALF = DEPTH / N;
  static_assert(PIECES % 8 == 0 && HALF > 0);
  using P = Piece<T, N>;

  const Graphs<T>& graphs;
  const int64_t first;
  const int count, lane;
  P* const plans;
  double* const columns;
  /** Of each thread a column: nodes; for backward also their gradients by magnitude, and sum − product of each step. */
  double* const nodes;
  double* const byMagnitude;
  double* const differences;

  __device__ HardTile(const Graphs<T>& graphs, int64_t first, int count, double* memory)
      : graphs(graphs), first(first), count(count), lane(laneOf()), plans(reinterpret_cast<P*>(memory)),
        columns(memory + WARP * PIECES * 2), nodes(columns + lane), byMagnitude(nodes + NODES * WARP),
        differences(byMagnitude + NODES * WARP) {}

  __device__ P& piece(int row, int p) const { return plans[row * PIECES + (p ^ (row & 7))]; }

  __device__ void readPlans() const {
    constexpr int AT_ONCE = 8;
    const P* const from = reinterpret_cast<const P*>(graphs.O) + first * PIECES;
#pragma unroll 1
    for (int begin = 0; begin < PIECES; begin += AT_ONCE) {
      P pieces[AT_ONCE] = {};
#pragma unroll
      for (int b = 0; b < AT_ONCE; b++) {
        const int i = (begin + b) * WARP + lane;
        if (i < count * PIECES) pieces[b] = from[i];
      }
#pragma unroll
      for (int b = 0; b < AT_ONCE; b++) {
        const int i = (begin + b) * WARP + lane;
        piece(i / PIECES, i % PIECES) = pieces[b];
      }
    }
  }

  /** Rows of `initial` and as many zeros, which are the gradients of intermediate nodes. */
  __device__ void writeRows(T* to, const double (&initial)[DEPTH]) const {
    P* const rows = reinterpret_cast<P*>(columns);
    if (!to) return;
    __syncwarp();
#pragma unroll
    for (int p = 0; p < HALF; p++)
#pragma unroll
      for (int n = 0; n < N; n++) rows[lane * HALF + p].of[n] = heldSum(T(0), initial[p * N + n], false);
    __syncwarp();
#pragma unroll
    for (int r = 0; r < ROW; r++) {
      const int i = r * WARP + lane, p = i % ROW;
      if (i < count * ROW)
        reinterpret_cast<P*>(to)[first * ROW + i] = p < HALF ? rows[i / ROW * HALF + p] : P();
    }
  }

  /** Whether all graphs are as described above; if not, nothing has been written. */
  __device__ bool run() const {
    const bool active = lane < count;
    const int64_t graph = first + lane;
    T gates[DEPTH], initial[DEPTH], initialSigns[DEPTH];
#pragma unroll
    for (int j = 0; j < DEPTH; j++) gates[j] = initialSigns[j] = 1, initial[j] = 0;
    double upstream = 0;
    if (active) {
      readPieces(graphs.G + graph * DEPTH, gates);
      readPieces(graphs.V_mag + graph * WIDTH, initial);
      readPieces(graphs.V_sign + graph * WIDTH, initialSigns);
      if (BACKWARD) upstream = graphs.upstream ? graphs.upstream[graph] : 1;
    }
    readPlans();

    bool isHard = true;
    double v[WIDTH];
#pragma unroll
    for (int j = 0; j < DEPTH; j++) {
      const double m = initial[j];
      isHard &= sizeOf(initialSigns[j]) == 1 && isMagnitudeOfHard(m);
      nodes[j * WARP] = v[j] = flipped(m, initialSigns[j] < 0 ? SIGN : 0);
    }
    __syncwarp();

    // Of each step a bit for each term, and for those below the line of a fraction; whether it is a sum.
    uint32_t terms[DEPTH], below[DEPTH];
    bool isSum[DEPTH];
#pragma unroll
    for (int i = 0; i < DEPTH; i++) {
      const int k = DEPTH + i;
      T O[WIDTH];
#pragma unroll
      for (int p = 0; p < ROW; p++) {
        const P coefficients = piece(lane, i * ROW + p);
#pragma unroll
        for (int n = 0; n < N; n++) O[p * N + n] = coefficients.of[n];
      }
      double sum = -0.0, product = 1;
      uint32_t sign = 0;
      terms[i] = below[i] = 0;
#pragma unroll
      for (int j = 0; j < k; j++) {
        const T c = O[j];
        isHard &= c == 0 || sizeOf(c) == 1;
        if (c != 0) {
          sum += flipped(v[j], c < 0 ? SIGN : 0);
          sign ^= highWord(v[j]);
          terms[i] |= 1u << j;
        }
        if (c > 0) product *= sizeOf(v[j]);
        if (c < 0) below[i] |= 1u << j;
      }
      if (!terms[i]) sum = 0;
      isSum[i] = gates[i] == 1;
      isHard &= isSum[i] || gates[i] == 0;
      if (BACKWARD || !isSum[i]) product = dividedBy(product, below[i], nodes);
      product = flipped(atMost(product, graphs.limit), sign);
      if (BACKWARD) differences[i * WARP] = sum - product;
      v[k] = isSum[i] ? sum : product;
      if (k < NODES) nodes[k * WARP] = v[k];
      if (BACKWARD || k < NODES) isHard &= isMagnitudeOfHard(sizeOf(v[k]));
    }
    if (!__all_sync(ALL_LANES, isHard)) return false;
    if constexpr (BACKWARD) {
      if (!differentiate(v, terms, below, isSum, upstream)) return false;
    }
    if (active && graphs.values) graphs.values[graph] = v[WIDTH - 1];
    __syncwarp();
    return true;
  }

  /** Gradients; whether they too are as described. */
  __device__ bool differentiate(const double (&v)[WIDTH], const uint32_t (&terms)[DEPTH], const uint32_t (&below)[DEPTH],
                                const bool (&isSum)[DEPTH], double upstream) const {
    // What products read.
    int read = 0;
#pragma unroll
    for (int i = 0; i < DEPTH; i++)
      if (!isSum[i]) read = DEPTH + i;
    double logs[NODES];
#pragma unroll
    for (int j = 0; j < NODES; j++) {
      logs[j] = 0;
      if (j < read && v[j] != 0) logs[j] = logNormal(sizeOf(v[j]));
    }

    double byValue[WIDTH] = {}, bySign[DEPTH] = {}, byGate[DEPTH];
    byValue[WIDTH - 1] = upstream;
#pragma unroll
    for (int j = 0; j < NODES; j++) byMagnitude[j * WARP] = 0;
    bool isHard = true;
#pragma unroll
    for (int i = DEPTH - 1; i >= 0; i--) {
      const int k = DEPTH + i;
      const double total = k < NODES ? byValue[k] + flipped(byMagnitude[k * WARP], highWord(v[k])) : upstream;
      isHard &= sizeOf(total) <= MOST_GRADIENT;
      const double toLinear = isSum[i] ? total : 0, toLog = isSum[i] ? 0 : total, toSum = toLog * v[k];
#pragma unroll
      for (int p = 0; p < ROW; p++) {
        P gradients{};
#pragma unroll
        for (int n = 0; n < N; n++) {
          const int j = p * N + n;
          // One of the two is 0, so nothing is rounded but the other.
          if (j < k) gradients.of[n] = static_cast<T>(fma(toLinear, v[j], fma(toSum, logs[j], 0.0)));
        }
        piece(lane, i * ROW + p) = gradients;
      }
      byGate[i] = 0 + chain(total, differences[i * WARP]);
#pragma unroll
      for (int j = 0; j < k; j++) {
        if (!(terms[i] >> j & 1)) continue;
        if (isSum[i]) byValue[j] += flipped(total, below[i] >> j & 1 ? SIGN : 0);
        else if (j < DEPTH) bySign[j] += flipped(toSum, highWord(v[j]));
      }
#pragma unroll 1
      for (uint32_t rest = isSum[i] ? 0 : terms[i]; rest; rest &= rest - 1) {
        const int at = lowestBit(rest) * WARP;
        const uint32_t term = rest & (~rest + 1);
        const bool isBelow = below[i] & term;
        // −1/m, or the product of the others.
        double x = isBelow ? -1 : 1;
        const uint32_t above = isBelow ? 0 : terms[i] & ~below[i] & ~term;
#pragma unroll
        for (int j = 0; j < k; j++)
          if (above >> j & 1) x *= sizeOf(v[j]);
        x = dividedBy(x, isBelow ? term : below[i], nodes);
        byMagnitude[at] += isBelow ? toSum * x : toLog * flipped(x, highWord(v[k]));
      }
    }
    if (!__all_sync(ALL_LANES, isHard)) return false;

    double initialByMagnitude[DEPTH];
#pragma unroll
    for (int j = 0; j < DEPTH; j++) {
      initialByMagnitude[j] = 0 + (byMagnitude[j * WARP] + flipped(byValue[j], highWord(v[j])));
      bySign[j] = 0 + (bySign[j] + byValue[j] * sizeOf(v[j]));
    }
    writeRows(graphs.gradMag, initialByMagnitude);
    writeRows(graphs.gradSign, bySign);
    if (graphs.gradG && lane < count) {
#pragma unroll
      for (int p = 0; p < HALF; p++) {
        P gradients;
#pragma unroll
        for (int n = 0; n < N; n++) gradients.of[n] = heldSum(T(0), byGate[p * N + n], false);
        reinterpret_cast<P*>(graphs.gradG)[(first + lane) * HALF + p] = gradients;
      }
    }
    __syncwarp();
    if (graphs.gradO)
#pragma unroll
      for (int b = 0; b < PIECES; b++) {
        const int i = b * WARP + lane;
        if (i < count * PIECES)
          reinterpret_cast<P*>(graphs.gradO)[first * PIECES + i] = piece(i / PIECES, i % PIECES);
      }
    return true;
  }
};

}  // namespace
