// Executes graphs and computes their gradients: one thread per graph, in double, with the arithmetic of kernels/dag_step.h.
//
// Fast path: at D = 4, a warp whose graphs all have hard plans uses kernels/dag_hard.h, if gradients are not accumulated and each graph has
// its own plan. There is no such path at D = 8: with five times as many pairs of a step and a node, unrolled code would not fit the
// instruction cache, nor nodes and gradients the registers. The rest of this comment describes the general path.
//
// A block is one warp with 32 graphs at a time, so its barriers are warp barriers and no warp waits for another. It reads rows into shared
// memory with coalesced loads, and of a plan the coefficients of one step at a time, which backward reads again from L2. Gradients
// are written the same way, one step at a time. For backward at D = 4 in f32 a block needs 12 KB, so that a multiprocessor of an H100 has
// shared memory for 19 blocks, and registers for 12; with 16 blocks, the hard path would spill registers. At D = 8 (24 KB) it has 9.
//
// A step loops over its terms. In a hard plan these are two or three of the nodes, different ones in each thread. Registers cannot be
// indexed, and local memory would read as many lines as there are nodes. So nodes and their gradients are in shared memory, each thread's in
// a column within one bank, whichever node it accesses. All threads use the logarithms in the same order, so these are in local memory.
// Rows of coefficients and of their gradients have an odd length, so that the same coefficient of all graphs is spread over all banks
// (coefficients of different terms may conflict); threads that load neighbouring numbers of several rows have at most two-way conflicts.
#include "common.h"

#ifdef DAG_EMULATED
#define DAG_BOUNDS WARP
#else
#define DAG_DEVICE __forceinline__ __device__
#define DAG_CALLED __noinline__ __device__
#define DAG_APART DAG_DEVICE
#define DAG_UNROLL _Pragma("unroll")
#define DAG_ANEW(x) asm volatile("" : "+r"(x))
/** Launch bounds: threads per block, and blocks per multiprocessor. */
#define DAG_BOUNDS WARP, 12
#endif

namespace {

// Not inlined, because the arithmetic of a step uses them in many places.
__device__ __noinline__ double exp64(double x) { return exp(x); }
__device__ __noinline__ double log64(double x);
__device__ double logOfMagnitude(double x);
struct SinCos {
  double sin, cos;
};
__device__ __noinline__ SinCos sinCosPi64(double x) {
  SinCos out;
  sincospi(x, &out.sin, &out.cos);
  return out;
}

#ifdef DAG_EMULATED
inline int lowestBit(uint32_t word) { return __builtin_ctz(word); }
inline int highestBit(uint32_t word) { return 31 - __builtin_clz(word); }
#else
__device__ inline int lowestBit(uint32_t word) { return __ffs(word) - 1; }
__device__ inline int highestBit(uint32_t word) { return 31 - __clz(word); }
#endif

}  // namespace

#include "../dag_hard.h"

namespace {

/**
 * ln x of a positive normal number, in half the code of the general function: x = 2^k·(1 + f) with 1 + f near 1, and
 * ln(1 + f) = 2·artanh(f/(2 + f)), as in FreeBSD's e_log.c (Sun Microsystems, 1993). Within 1 ulp.
 */
__device__ inline double logNormal(double x) {
  // 1 + f is at least √½.
  constexpr uint32_t ONE = 0x3ff00000, ROOT = 0x3fe6a09e;
  const uint64_t word = wordOf(x);
  const uint32_t high = static_cast<uint32_t>(word >> 32) + (ONE - ROOT);
  const double k = static_cast<int>(high >> 20) - 1023;
  const double f = bitsOf(static_cast<uint64_t>((high & 0xfffff) + ROOT) << 32 | (word & 0xffffffff)) - 1;
  const double s = f / (2 + f), z = s * s, half = 0.5 * f * f;
  double series = fma(z, 1.479819860511658591e-01, 1.531383769920937332e-01);
  series = fma(z, series, 1.818357216161805012e-01);
  series = fma(z, series, 2.222219843214978396e-01);
  series = fma(z, series, 2.857142874366239149e-01);
  series = fma(z, series, 3.999999999940941908e-01);
  series = fma(z, series, 6.666666666666735130e-01) * z;
  return fma(s, half + series, k * 1.90821492927058770002e-10) - half + f + k * 6.93147180369123816490e-01;
}
__device__ __noinline__ double logOfAny(double x) { return log(x); }
__device__ double logOfMagnitude(double x) { return x >= MIN_NORMAL && x <= LARGEST ? logNormal(x) : logOfAny(x); }
__device__ double log64(double x) { return logOfMagnitude(x); }

/** Strided numbers: those of one graph, interleaved with those of others. */
struct Numbers {
  double* first;
  int step;
  __device__ double& operator[](int i) const { return first[i * step]; }
};

/** StepRules as the host packs them. */
struct KernelRules {
  double limit;
  int64_t inference;
};

/** Graphs of the DAG tensor format; all fields have 8 bytes, as the host packs them. Gradients whose pointer is null are not wanted. */
template <typename T>
struct Graphs {
  const T *V_mag, *V_sign, *O, *G;
  const double* upstream;
  double* values;
  T *gradMag, *gradSign, *gradO, *gradG;
  /** One bit each for V_mag, V_sign, O and G: whether their gradient is accumulated. */
  int64_t accumulate;
  int64_t depth, size;
  /**
   * Whether all graphs share one plan. Its gradients then go to `partial` (blocks, 2·depth² + depth), not to gradO and
   * gradG.
   */
  int64_t shared;
  KernelRules rules;
  double* partial;
  /** If shared memory is too small: global memory of `scratchBytes` for each block in place of it; else null. */
  char* scratch;
  int64_t scratchBytes;
};

__device__ inline float largest(float) { return 0x1.fffffep127f; }
__device__ inline double largest(double) { return LARGEST; }

/** x (+)= gradient, clamped to the range of T. */
template <typename T>
__device__ T heldSum(T x, double gradient, bool accumulate) {
  const T sum = static_cast<T>(accumulate ? x + gradient : gradient), most = largest(T());
  return sum < -most ? -most : sum > most ? most : sum;
}

/** A clamped sum, which stays finite. */
struct HeldSum {
  __device__ static double of(double a, double b) { return held<true>(a + b); }
};

/** N numbers that are read and written by one instruction. */
template <typename T, int N>
struct alignas(N * sizeof(T)) Piece {
  T of[N];
};
/** Numbers per Piece in rows of COLUMNS: 16 bytes if all rows are aligned to that, else one number. */
template <typename T, int COLUMNS>
constexpr int PIECE = COLUMNS > 0 && COLUMNS * sizeof(T) % 16 == 0 ? 16 / sizeof(T) : 1;

/** Loads in flight per thread. */
constexpr int BATCH = 4;

/** Calls use(row, i, read(row, i)) for i in 0 … columns − 1 of all rows; neighbouring threads take neighbouring elements. */
template <typename Read, typename Use>
__device__ void forRows(int rows, int columns, const Read& read, const Use& use) {
  // Advances by 32 elements without a division.
  const int down = WARP / columns, along = WARP % columns;
  int row = laneOf() / columns, column = laneOf() % columns;
  while (row < rows) {
    decltype(read(0, 0)) pieces[BATCH] = {};
    int rowOf[BATCH], columnOf[BATCH];
#pragma unroll
    for (int b = 0; b < BATCH; b++) {
      rowOf[b] = row, columnOf[b] = column;
      if (row < rows) pieces[b] = read(row, column);
      row += down, column += along;
      if (column >= columns) row++, column -= columns;
    }
#pragma unroll
    for (int b = 0; b < BATCH; b++)
      if (rowOf[b] < rows) use(rowOf[b], columnOf[b], pieces[b]);
  }
}

/** to[row·toStride + i] = from[row·stride + i], i < columns. COLUMNS: the number of columns, 0 if known only at run time. */
template <int COLUMNS, typename T>
__device__ void readRows(const T* from, int64_t stride, int rows, int columns, T* to, int toStride) {
  constexpr int N = PIECE<T, COLUMNS>;
  using P = Piece<T, N>;
  forRows(
      rows, (COLUMNS ? COLUMNS : columns) / N,
      [&](int row, int i) { return *reinterpret_cast<const P*>(from + row * stride + i * N); },
      [&](int row, int i, const P& piece) {
#pragma unroll
        for (int n = 0; n < N; n++) to[row * toStride + i * N + n] = piece.of[n];
      });
}

/** to[row·stride + i] (+)= gradient(row, i), i < columns; does nothing if `to` is null. */
template <int COLUMNS, typename T, typename Gradient>
__device__ void writeRows(T* to, int64_t stride, int rows, int columns, bool accumulate, const Gradient& gradient) {
  constexpr int N = PIECE<T, COLUMNS>;
  using P = Piece<T, N>;
  if (!to) return;
  forRows(
      rows, (COLUMNS ? COLUMNS : columns) / N,
      [&](int row, int i) { return accumulate ? *reinterpret_cast<const P*>(to + row * stride + i * N) : P(); },
      [&](int row, int i, P piece) {
#pragma unroll
        for (int n = 0; n < N; n++) piece.of[n] = heldSum(piece.of[n], gradient(row, i * N + n), accumulate);
        *reinterpret_cast<P*>(to + row * stride + i * N) = piece;
      });
}

/** Prefetches the plans of a warp into L2 in memory order: later each step reads a part of every line. */
template <typename T>
__device__ void prefetchPlans(const T* O, int64_t length) {
  constexpr int LINE = 128 / sizeof(T);
  for (int64_t i = laneOf() * LINE; i < length; i += WARP * LINE) prefetch(O + i);
}

/**
 * The nodes of one graph: initial ones by magnitude and sign, the others by value; logarithms after takeLogs. A negative
 * magnitude (also −0) counts as the positive one with the opposite sign.
 */
struct GraphNodes {
  int depth;
  Numbers numbers, signs, logs;
  int known = 0;

  __device__ double magnitude(int j) const { return magnitudeOf(numbers[j]); }
  __device__ double sign(int j) const { return j < depth ? flipped(signs[j], numbers[j]) : signOf(numbers[j]); }
  __device__ double value(int j) const { return j < depth ? signs[j] * numbers[j] : numbers[j]; }
  __device__ double reciprocal(int j) const { return 1 / magnitude(j); }
  __device__ double log(int j) const { return logs[j]; }
  __device__ void takeLogs(int count) {
#pragma unroll 1
    for (; known < count; known++) logs[known] = log64(magnitude(known));
  }
};

/** The coefficients of one step; FEW: at most 32, so that the nonzero ones are found by bits. */
template <typename T, bool FEW>
struct Row {
  const T* first;
  /** With FEW: one bit for each term. */
  uint32_t terms = 0;

  __device__ Row(const T* first, int count) : first(first) {
    if constexpr (FEW)
      for (int j = 0; j < count; j++)
        if (first[j] != 0) terms |= 1u << j;
  }
  __device__ double operator[](int j) const { return first[j]; }
  __device__ int next(int j, int count) const {
    j++;
    if constexpr (FEW) {
      const uint32_t rest = terms >> j;
      return rest ? j + lowestBit(rest) : count;
    } else {
      while (j < count && first[j] == 0) j++;
      return j;
    }
  }
  __device__ int previous(int j) const {
    if constexpr (FEW) {
      const uint32_t rest = terms & ((1u << j) - 1);
      return rest ? highestBit(rest) : NONE;
    } else {
      do j--;
      while (j >= 0 && first[j] == 0);
      return j;
    }
  }
};

/** Reads numbers of a row in pieces of 16 bytes. */
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

/**
 * The fast path: up to 32 graphs with hard plans, nodes in registers. backends/cuda/dag.ts computes the size of their memory. Plans are
 * read and their gradients written in memory order, 16 bytes per thread. In shared memory, where each thread has one plan, piece p of
 * plan r is at p ⊕ (r mod 8): this swizzle avoids bank conflicts both along a plan and across plans.
 */
template <typename T, bool BACKWARD, int DEPTH>
struct HardTile {
  static constexpr int WIDTH = 2 * DEPTH;
  /** Numbers per piece; pieces per plan, per row of nodes, and per half row. */
  static constexpr int N = 16 / sizeof(T), PIECES = WIDTH * DEPTH / N, ROW = WIDTH / N, HALF = DEPTH / N;
  static_assert(PIECES % 8 == 0 && HALF > 0);
  using P = Piece<T, N>;

  const Graphs<T>& graphs;
  const int64_t first;
  const int count, lane;
  P* const plans;
  /** Half a row for each thread. */
  P* const rows;

  __device__ HardTile(const Graphs<T>& graphs, int64_t first, int count, double* memory)
      : graphs(graphs), first(first), count(count), lane(laneOf()), plans(reinterpret_cast<P*>(memory)),
        rows(plans + WARP * PIECES) {}

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

  /** Writes rows of `initial` followed by as many zeros, the gradients of intermediate nodes. */
  __device__ void writeRows(T* to, const double* initial) const {
    if (!to) return;
    __syncwarp();
#pragma unroll
    for (int j = 0; j < DEPTH; j++) rows[lane * HALF + j / N].of[j % N] = static_cast<T>(initial[j]);
    __syncwarp();
#pragma unroll
    for (int r = 0; r < ROW; r++) {
      const int i = r * WARP + lane, p = i % ROW;
      if (i < count * ROW)
        reinterpret_cast<P*>(to)[first * ROW + i] = p < HALF ? rows[i / ROW * HALF + p] : P();
    }
  }

  /** Runs the graphs. Returns false, having written nothing, if any of them is not hard or dag_hard.h cannot compute it. */
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

    double column[WIDTH];
    HardGraphs<double, uint32_t, DEPTH, true> hard(DEPTH, column);
#pragma unroll
    for (int j = 0; j < DEPTH; j++) hard.setInitial(j, initial[j], initialSigns[j]);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < DEPTH; i++) {
      P row[ROW];
#pragma unroll
      for (int p = 0; p < ROW; p++) row[p] = piece(lane, i * ROW + p);
      hard.setStep(i, gates[i], [&](int j) { return row[j / N].of[j % N]; });
    }
    if (!__all_sync(ALL_LANES, !hard.redo)) return false;
    const double value = hard.template forward<BACKWARD>(graphs.rules.limit);
    const Wanted wanted{graphs.gradSign != nullptr, graphs.gradO != nullptr, graphs.gradG != nullptr};
    if constexpr (BACKWARD) hard.backward(upstream, wanted, largest(T()));
    if (!__all_sync(ALL_LANES, !hard.redo)) return false;
    if (active && graphs.values) graphs.values[graph] = value;
    if constexpr (BACKWARD) writeGradients(hard, wanted);
    __syncwarp();
    return true;
  }

  template <typename Hard>
  __device__ void writeGradients(Hard& hard, const Wanted& wanted) const {
    writeRows(graphs.gradMag, hard.toMagnitude);
    writeRows(graphs.gradSign, hard.toSign);
    if (wanted.G && lane < count) {
#pragma unroll
      for (int p = 0; p < HALF; p++) {
        P gradients;
#pragma unroll
        for (int n = 0; n < N; n++) gradients.of[n] = static_cast<T>(hard.outG[p * N + n]);
        reinterpret_cast<P*>(graphs.gradG)[(first + lane) * HALF + p] = gradients;
      }
    }
    if (!wanted.O) return;
    hard.takeLogs();
#pragma unroll
    for (int i = 0; i < DEPTH; i++)
#pragma unroll
      for (int p = 0; p < ROW; p++) {
        P gradients{};
#pragma unroll
        for (int n = 0; n < N; n++)
          if (p * N + n < DEPTH + i) gradients.of[n] = static_cast<T>(hard.byCoefficient(i, p * N + n));
        piece(lane, i * ROW + p) = gradients;
      }
    __syncwarp();
#pragma unroll
    for (int b = 0; b < PIECES; b++) {
      const int i = b * WARP + lane;
      if (i < count * PIECES) reinterpret_cast<P*>(graphs.gradO)[first * PIECES + i] = piece(i / PIECES, i % PIECES);
    }
  }
};

/** Column stride of arrays that each thread has its own copy of; padded by one to avoid bank conflicts. */
constexpr int PADDED = WARP + 1;

/** DEPTH: depth of the graphs, 0 if known only at run time. */
template <typename T, bool BACKWARD, int DEPTH>
__device__ void runGraphs(const Graphs<T>& graphs) {
  constexpr bool FEW = DEPTH > 0;
  const int depth = FEW ? DEPTH : static_cast<int>(graphs.depth);
  const int width = 2 * depth, most = width - 1, lane = laneOf();
  const int64_t coefficients = static_cast<int64_t>(width) * depth, plan = coefficients + depth;

  // backends/cuda/dag.ts computes its size.
  DAG_DYNAMIC_SHARED(double, sharedMemory);
  double* memory = sharedMemory;
  if (!FEW && graphs.scratch) memory = reinterpret_cast<double*>(graphs.scratch + blockIdx.x * graphs.scratchBytes);
  const auto take = [&](int count, int step) {
    double* const taken = memory;
    memory += count * step;
    return taken;
  };
  const auto own = [&](int count) { return Numbers{take(count, WARP) + lane, WARP}; };
  const Numbers numbers = own(most), initialSigns = own(depth);
  double local[FEW ? 10 * DEPTH : 1];
  const auto perNode = [&](int array) { return FEW ? Numbers{local + array * width, 1} : own(width); };
  const Numbers logs = perNode(0);
  Turns<Numbers> turns{};
  NodeGradients<Numbers> out{};
  double* outRows = nullptr;
  if (BACKWARD) {
    turns = {perNode(1), perNode(2), perNode(3), perNode(4)};
    out = {own(width), own(most), own(depth)};
    outRows = take(most, PADDED);
  }
  const int rowLength = 3 * depth | 1;
  T* const gates = reinterpret_cast<T*>(memory);
  T* const row = gates + depth;

  const bool shared = graphs.shared;
  const int mine = lane * rowLength, planOf = shared ? 0 : mine;
  const bool mayBeHard = !shared && !graphs.accumulate;
  const StepRules rules{graphs.rules.limit, graphs.rules.inference != 0};
  bool firstTile = true;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * WARP; first < graphs.size;
       first += static_cast<int64_t>(gridDim.x) * WARP) {
    const int count = static_cast<int>(graphs.size - first < WARP ? graphs.size - first : WARP);
    const bool active = lane < count;
    const int plans = shared ? 1 : count;
    const int64_t firstPlan = shared ? 0 : first;

    if constexpr (DEPTH == 4)
      if (mayBeHard && HardTile<T, BACKWARD, DEPTH>(graphs, first, count, sharedMemory).run()) continue;

    prefetchPlans(graphs.O + firstPlan * coefficients, plans * coefficients);
    readRows<DEPTH>(graphs.G + firstPlan * depth, depth, plans, depth, gates, rowLength);
    readRows<DEPTH>(graphs.V_mag + first * width, width, count, depth, row, rowLength);
    readRows<DEPTH>(graphs.V_sign + first * width, width, count, depth, row + depth, rowLength);
    __syncwarp();
    for (int j = 0; j < depth; j++) numbers[j] = row[mine + j], initialSigns[j] = row[mine + depth + j];
    __syncwarp();
    const auto readStep = [&](int i) {
      readRows<2 * DEPTH>(graphs.O + firstPlan * coefficients + int64_t{i} * width, coefficients, plans, width, row, rowLength);
      __syncwarp();
    };

    GraphNodes nodes{depth, numbers, initialSigns, logs};
    double last = 0;
    // Not unrolled: steps are long and would not fit the instruction cache.
#pragma unroll 1
    for (int i = 0; i < depth; i++) {
      readStep(i);
      if (active) {
        const Row<T, FEW> O(row + planOf, depth + i);
        const double g = gates[planOf + i];
        const double value = valueOf(partsOf<false>(nodes, O, depth + i, g, rules, turns), g, rules.limit);
        last = value;
        if (i < depth - 1) numbers[depth + i] = value;
        else if (graphs.values) graphs.values[first + lane] = value;
      }
      // The next step's coefficients overwrite these.
      __syncwarp();
    }
    if (!BACKWARD) continue;

    const double upstream = !active ? 0 : upstreamOf(graphs.upstream ? graphs.upstream[first + lane] : 1.0, last);
    // Compute all logarithms here, while the lanes are converged: each lane would reach its first product at a different step.
    bool hasProducts = false;
    for (int i = 0; i < depth; i++) hasProducts |= active && gates[planOf + i] != 1;
    if (hasProducts && upstream != 0) nodes.takeLogs(most);
    for (int j = 0; j < most; j++) out.value[j] = out.magnitude[j] = 0;
    for (int j = 0; j < depth; j++) out.sign[j] = 0;

#pragma unroll 1
    for (int i = depth - 1; i >= 0; i--) {
      const int k = depth + i;
      if (i < depth - 1) readStep(i);
      const double total = i == depth - 1 ? held<true>(upstream) : gradientOf<true, double>(nodes, k, out);
      const Numbers outO{outRows + lane, PADDED};
      double gate = 0;
      if (total != 0) {
        const Row<T, FEW> O(row + planOf, k);
        const double g = gates[planOf + i];
        const Parts<double> parts = partsOf<true>(nodes, O, k, g, rules, turns);
        double probe = 0;
        gate = 0 + stepBackward<true>(nodes, O, k, depth, g, rules, total, parts, turns, out, outO, probe);
      } else {
        for (int j = 0; j < k; j++) outO[j] = 0;
      }
      // Overwrites the element that was read just before.
      out.value[k] = gate;
      __syncwarp();
      if (shared) {
        double* const to = graphs.partial + blockIdx.x * plan;
        for (int j = lane; j < width; j += WARP) {
          double sum = 0;
          for (int g = 0; j < k && g < count; g++) sum = HeldSum::of(sum, outRows[j * PADDED + g]);
          double& all = to[int64_t{i} * width + j];
          all = firstTile ? sum : HeldSum::of(all, sum);
        }
        const double sum = combineWarp<HeldSum>(gate);
        double& all = to[coefficients + i];
        if (lane == 0) all = firstTile ? sum : HeldSum::of(all, sum);
      } else {
        writeRows<2 * DEPTH>(graphs.gradO ? graphs.gradO + first * coefficients + int64_t{i} * width : nullptr, coefficients,
                             count, width, graphs.accumulate & 4,
                             [&](int g, int j) { return j < k ? outRows[j * PADDED + g] : 0; });
      }
    }
    firstTile = false;

    double unused = 0;
    for (int j = 0; j < depth; j++) finishInitial<true>(nodes, j, numbers[j], differ(upstream, 0), out, unused);
    __syncwarp();
    const auto write = [&](T* to, bool accumulate, const Numbers& gradients) {
      writeRows<2 * DEPTH>(to ? to + first * width : nullptr, width, count, width, accumulate,
                           [&](int g, int j) { return j < depth ? gradients.first[j * WARP + g - lane] : 0; });
    };
    write(graphs.gradMag, graphs.accumulate & 1, out.magnitude);
    write(graphs.gradSign, graphs.accumulate & 2, out.sign);
    if (!shared)
      writeRows<DEPTH>(graphs.gradG ? graphs.gradG + first * depth : nullptr, depth, count, depth, graphs.accumulate & 8,
                       [&](int g, int i) { return out.value.first[(depth + i) * WARP + g - lane]; });
  }
}

/** The gradients of a shared plan: sums over all blocks in a fixed order, one warp per element. */
template <typename T>
__device__ void sumPlans(const double* partial, int64_t blocks, int64_t depth, T* gradO, T* gradG, int64_t accumulate) {
  const int64_t coefficients = 2 * depth * depth, plan = coefficients + depth;
  for (int64_t i = firstIndex() / WARP; i < plan; i += indexStep() / WARP) {
    double sum = 0;
    for (int64_t b = laneOf(); b < blocks; b += WARP) sum = HeldSum::of(sum, partial[b * plan + i]);
    sum = combineWarp<HeldSum>(sum);
    if (laneOf() != 0) continue;
    T* const to = i < coefficients ? gradO : gradG;
    T& x = to[i < coefficients ? i : i - coefficients];
    if (to) x = heldSum(x, sum, accumulate & (i < coefficients ? 4 : 8));
  }
}

}  // namespace

#define DAG_GRAPHS(name, BACKWARD, DEPTH)                                                              \
  DAG_EXPORT(name##_f32, DAG_BOUNDS, (Graphs<float> graphs), (runGraphs<float, BACKWARD, DEPTH>(graphs))) \
  DAG_EXPORT(name##_f64, DAG_BOUNDS, (Graphs<double> graphs), (runGraphs<double, BACKWARD, DEPTH>(graphs)))
DAG_GRAPHS(dag, false, 0)
DAG_GRAPHS(dag4, false, 4)
DAG_GRAPHS(dag8, false, 8)
DAG_GRAPHS(dag9, false, 9)
DAG_GRAPHS(dagBackward, true, 0)
DAG_GRAPHS(dagBackward4, true, 4)
DAG_GRAPHS(dagBackward8, true, 8)
DAG_GRAPHS(dagBackward9, true, 9)

DAG_KERNELS(sumPlans, THREADS,
            (const double* partial, int64_t blocks, int64_t depth, T* gradO, T* gradG, int64_t accumulate),
            (partial, blocks, depth, gradO, gradG, accumulate))
