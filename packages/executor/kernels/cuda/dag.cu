// Values of graphs and their gradients: one thread a graph, in double, with the arithmetic of kernels/dag_step.h.
//
// A block reads the rows of its graphs as they lie in memory, every thread a neighbour of the last one's number, and
// puts them in shared memory: numbers of nodes so that those of one node are neighbours, plans with rows of an odd
// length. Either way a thread then finds its own in a bank that no other one of its warp wants. Gradients go back the
// same way, those of coefficients in the place of the coefficients. Plans that are too large for that (`direct`) are
// read where they lie, and the nodes are in global memory.
#include "common.h"

#ifndef DAG_EMULATED
#define DAG_DEVICE inline __device__
#define DAG_CALLED __noinline__ __device__
#endif

namespace {

// Called, not inlined: the arithmetic of a step has them in many places.
__device__ __noinline__ double exp64(double x) { return exp(x); }
__device__ __noinline__ double log64(double x) { return log(x); }
struct SinCos {
  double sin, cos;
};
__device__ __noinline__ SinCos sinCosPi64(double x) {
  SinCos out;
  sincospi(x, &out.sin, &out.cos);
  return out;
}

}  // namespace

#include "../dag_step.h"

namespace {

/** Graphs of the DAG tensor format; numbers of 8 bytes, as the host packs them. Null: not wanted. */
template <typename T>
struct Graphs {
  const T *V_mag, *V_sign, *O, *G;
  const double* upstream;
  double* values;
  T *gradMag, *gradSign, *gradO, *gradG;
  /** A bit each for V_mag, V_sign, O and G: whether their gradient is added to what is there. */
  int64_t accumulate;
  int64_t depth, size;
  /**
   * Whether one plan is that of all graphs; its gradients go to `partial` (blocks, 2·depth² + depth), not to gradO and
   * gradG.
   */
  int64_t shared;
  double limit;
  double* partial;
  /** Of `direct`: doubles that `Work` has for every thread of the grid. */
  double* scratch;
};

__device__ inline double largest(float) { return 0x1.fffffep127; }
__device__ inline double largest(double) { return LARGEST; }

/** to[i] (+)= gradient, within what T can hold. */
template <typename T>
__device__ void putHeld(T* to, int64_t i, double gradient, bool accumulate) {
  const double sum = accumulate ? to[i] + held(gradient) : gradient;
  to[i] = static_cast<T>(held(sum, largest(T())));
}

/** A sum that stays finite. */
struct HeldSum {
  __device__ static double of(double a, double b) { return held(a + b); }
};

/** The numbers of one thread's graph: of 2·depth nodes each, `step` apart. Forward needs the first three of them. */
struct Work {
  static constexpr int FORWARD = 3, OUT_ROW = 6, ALL = 7;
  Nodes nodes;
  NodeGradients out;
  /** Gradients of the coefficients of the step at hand. */
  Numbers outRow;

  __device__ Work(double* first, int64_t step, int64_t width) {
    const auto array = [&](int i) { return Numbers{first + i * width * step, step}; };
    nodes = {array(0), array(1), array(2)};
    out = {array(3), array(4), array(5)};
    outRow = array(OUT_ROW);
  }
};

/** Σ of `x` over the graphs of a block, for one warp: x[0 … count − 1]. */
__device__ inline double sumOverGraphs(const double* x, int count) {
  double sum = 0;
  for (int i = laneOf(); i < count; i += WARP) sum = HeldSum::of(sum, x[i]);
  return combineWarp<HeldSum>(sum);
}

template <typename T, bool BACKWARD, bool DIRECT>
__device__ void runGraphs(const Graphs<T>& graphs) {
  DAG_DYNAMIC_SHARED(double, shared);
  const int64_t depth = graphs.depth, width = 2 * depth, coefficients = width * depth, plan = coefficients + depth;
  const int threads = blockDim.x, me = threadIdx.x;
  // One more than the threads: numbers of one graph lie in different banks as well, for those who bring them.
  const int64_t step = DIRECT ? indexStep() : threads + 1;
  double* const nodes = DIRECT ? graphs.scratch : shared;
  Work work(nodes + (DIRECT ? firstIndex() : me), step, width);
  double* const sums = DIRECT ? shared : shared + (BACKWARD ? Work::ALL : Work::FORWARD) * width * step;
  T* const plans = reinterpret_cast<T*>(sums + (graphs.shared ? plan : 0));
  const int64_t planRow = plan | 1;

  if (BACKWARD && graphs.shared)
    for (int64_t i = me; i < plan; i += threads) sums[i] = 0;
  if (!DIRECT && graphs.shared)
    for (int64_t i = me; i < plan; i += threads) plans[i] = i < coefficients ? graphs.O[i] : graphs.G[i - coefficients];

  for (int64_t first = firstIndex() - me; first < graphs.size; first += indexStep()) {
    const int count = static_cast<int>(graphs.size - first < threads ? graphs.size - first : threads);
    const int64_t graph = first + me;
    const bool active = me < count;

    if (DIRECT) {
      for (int64_t j = 0; active && j < depth; j++) {
        const double m = graphs.V_mag[graph * width + j], s = graphs.V_sign[graph * width + j];
        work.nodes.magnitude[j] = m, work.nodes.sign[j] = s, work.nodes.value[j] = s * m;
      }
    } else {
      for (int64_t i = me; i < count * width; i += threads) {
        const int64_t j = i % width, at = j * step + i / width;
        if (j >= depth) continue;
        const double m = graphs.V_mag[first * width + i], s = graphs.V_sign[first * width + i];
        nodes[at] = s * m, nodes[width * step + at] = m, nodes[2 * width * step + at] = s;
      }
      if (!graphs.shared) {
        for (int64_t i = me; i < count * coefficients; i += threads)
          plans[i / coefficients * planRow + i % coefficients] = graphs.O[first * coefficients + i];
        for (int64_t i = me; i < count * depth; i += threads)
          plans[i / depth * planRow + coefficients + i % depth] = graphs.G[first * depth + i];
      }
      __syncthreads();
    }

    const int64_t which = graphs.shared ? 0 : DIRECT ? graph : me;
    const T* const O = DIRECT ? graphs.O + which * coefficients : plans + which * planRow;
    const T* const G = DIRECT ? graphs.G + which * depth : plans + which * planRow + coefficients;
    const auto row = [&](int64_t i) { return CoefficientsOf<T>{O + i * width, 1}; };
    if (active) {
      for (int64_t i = 0; i < depth; i++)
        setNode(work.nodes, depth + i, stepValue(work.nodes, row(i), depth + i, G[i], graphs.limit));
      if (graphs.values) graphs.values[graph] = work.nodes.value[width - 1];
    }
    if (!BACKWARD) {
      if (!DIRECT) __syncthreads();
      continue;
    }

    const double upstream = !active ? 0 : graphs.upstream ? graphs.upstream[graph] : 1;
    if (active) {
      for (int64_t j = 0; j < width; j++) work.out.value[j] = work.out.magnitude[j] = work.out.sign[j] = 0;
      work.out.value[width - 1] = upstream;
    }
    for (int64_t i = depth - 1; i >= 0; i--) {
      const int64_t k = depth + i;
      double gate = 0;
      if (active) {
        // |v| has the derivative sign(v); the sign itself is constant on both sides of zero.
        const double total = held(work.out.value[k] + work.out.magnitude[k] * work.nodes.sign[k]);
        if (total != 0) {
          gate = 0 + stepBackward(work.nodes, row(i), k, G[i], graphs.limit, total, work.out, work.outRow);
        } else {
          for (int64_t j = 0; j < k; j++) work.outRow[j] = 0;
        }
      }
      if (graphs.shared) {
        // The gate's gradients take the place of those of the last coefficient, which no step has.
        if (!active)
          for (int64_t j = 0; j < k; j++) work.outRow[j] = 0;
        work.outRow[width - 1] = gate;
        __syncthreads();
        const double* const of = DIRECT ? graphs.scratch + static_cast<int64_t>(blockIdx.x) * threads : shared;
        for (int64_t j = warpOf(); j < width; j += threads / WARP) {
          if (j >= k && j < width - 1) continue;
          const double sum = sumOverGraphs(of + (Work::OUT_ROW * width + j) * step, count);
          double& to = sums[j == width - 1 ? coefficients + i : i * width + j];
          if (laneOf() == 0) to = HeldSum::of(to, sum);
        }
        __syncthreads();
      } else if (active && DIRECT) {
        for (int64_t j = 0; graphs.gradO && j < width; j++)
          putHeld(graphs.gradO, graph * coefficients + i * width + j, j < k ? work.outRow[j] : 0.0,
                  graphs.accumulate & 4);
        if (graphs.gradG) putHeld(graphs.gradG, graph * depth + i, gate, graphs.accumulate & 8);
      } else if (active) {
        T* const own = plans + me * planRow;
        for (int64_t j = 0; j < width; j++) putHeld(own, i * width + j, j < k ? work.outRow[j] : 0.0, false);
        putHeld(own, coefficients + i, gate, false);
      }
    }
    if (active) {
      const bool none = upstream == 0;
      for (int64_t j = 0; j < width; j++) {
        const double value = work.out.value[j];
        const bool initial = j < depth && !none;
        work.out.magnitude[j] = initial ? 0 + held(work.out.magnitude[j] + value * work.nodes.sign[j]) : 0;
        work.out.sign[j] = initial ? 0 + held(work.out.sign[j] + value * work.nodes.magnitude[j]) : 0;
      }
    }

    if (DIRECT) {
      for (int64_t j = 0; active && j < width; j++) {
        if (graphs.gradMag) putHeld(graphs.gradMag, graph * width + j, work.out.magnitude[j], graphs.accumulate & 1);
        if (graphs.gradSign) putHeld(graphs.gradSign, graph * width + j, work.out.sign[j], graphs.accumulate & 2);
      }
      continue;
    }
    __syncthreads();
    for (int64_t i = me; i < count * width; i += threads) {
      const int64_t at = i % width * step + i / width;
      const double toMag = nodes[4 * width * step + at], toSign = nodes[5 * width * step + at];
      if (graphs.gradMag) putHeld(graphs.gradMag, first * width + i, toMag, graphs.accumulate & 1);
      if (graphs.gradSign) putHeld(graphs.gradSign, first * width + i, toSign, graphs.accumulate & 2);
    }
    if (!graphs.shared) {
      for (int64_t i = me; graphs.gradO && i < count * coefficients; i += threads)
        putHeld(graphs.gradO, first * coefficients + i, plans[i / coefficients * planRow + i % coefficients],
                graphs.accumulate & 4);
      for (int64_t i = me; graphs.gradG && i < count * depth; i += threads)
        putHeld(graphs.gradG, first * depth + i, plans[i / depth * planRow + coefficients + i % depth],
                graphs.accumulate & 8);
    }
    __syncthreads();
  }

  if (BACKWARD && graphs.shared) {
    __syncthreads();
    for (int64_t i = me; i < plan; i += threads) graphs.partial[blockIdx.x * plan + i] = sums[i];
  }
}

/** The gradients of a shared plan: those of all blocks, in their order. */
template <typename T>
__device__ void sumPlans(const double* partial, int64_t blocks, int64_t depth, T* gradO, T* gradG, int64_t accumulate) {
  const int64_t coefficients = 2 * depth * depth, plan = coefficients + depth;
  for (int64_t i = firstIndex(); i < plan; i += indexStep()) {
    double sum = 0;
    for (int64_t b = 0; b < blocks; b++) sum = HeldSum::of(sum, partial[b * plan + i]);
    if (i < coefficients && gradO) putHeld(gradO, i, sum, accumulate & 4);
    if (i >= coefficients && gradG) putHeld(gradG, i - coefficients, sum, accumulate & 8);
  }
}

}  // namespace

/** Most threads of a block; fewer where their graphs need more shared memory. */
#define DAG_GRAPHS(name, dtype, T, BACKWARD, DIRECT) \
  DAG_EXPORT(name##_##dtype, 128, (Graphs<T> graphs), (runGraphs<T, BACKWARD, DIRECT>(graphs)))
DAG_GRAPHS(dag, f32, float, false, false)
DAG_GRAPHS(dag, f64, double, false, false)
DAG_GRAPHS(dagDirect, f32, float, false, true)
DAG_GRAPHS(dagDirect, f64, double, false, true)
DAG_GRAPHS(dagBackward, f32, float, true, false)
DAG_GRAPHS(dagBackward, f64, double, true, false)
DAG_GRAPHS(dagBackwardDirect, f32, float, true, true)
DAG_GRAPHS(dagBackwardDirect, f64, double, true, true)

DAG_KERNELS(sumPlans, THREADS,
            (const double* partial, int64_t blocks, int64_t depth, T* gradO, T* gradG, int64_t accumulate),
            (partial, blocks, depth, gradO, gradG, accumulate))
