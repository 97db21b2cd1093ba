// Layer normalisation over rows (Ba, Kiros & Hinton 2016); the variance is the biased one.
#include "vector_math.h"
#include "stream.h"

namespace {

/** Rows per piece: contributions to the gradients of weight and bias are summed per piece, then over pieces. */
constexpr i64 ROWS = 64;

template <typename T>
struct LayerNorm {
  const T* x;
  const T* weight;
  i64 rows;
  i64 n;
};

template <typename T>
void layerNorm(const LayerNorm<T>& layer, const T* bias, T* y, T* stats, T eps) {
  const i64 n = layer.n;
  const T* weight = layer.weight;
  parallelRanges(layer.rows, most(1, GRAIN / n), [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; r++) {
      const T* x = layer.x + r * n;
      T* to = y + r * n;
      Vec<T> sums{};
      forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE { sums += loadUpTo(x + i, lanes); });
      const T mean = sumOf<T>(sums) / static_cast<T>(n);
      Vec<T> squares{};
      forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
        const Vec<T> d = loadUpTo(x + i, lanes) - mean;
        const Vec<T> inside = lanes >= LANES<T> ? d : firstLanes<T>(lanes) ? d : Vec<T>{};
        squares += inside * inside;
      });
      const T rstd = 1 / sqrtOf(sumOf<T>(squares) / static_cast<T>(n) + eps);
      forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
        const Vec<T> normal = (loadUpTo(x + i, lanes) - mean) * rstd * loadUpTo(weight + i, lanes);
        storeUpTo(to + i, bias ? normal + loadUpTo(bias + i, lanes) : normal, lanes);
      });
      stats[2 * r] = mean;
      stats[2 * r + 1] = rstd;
    }
  });
}

/** Destinations of gradients; null if not wanted. */
template <typename T>
struct LayerNormGradients {
  T* x;
  T* weight;
  T* bias;
  bool addX, addWeight, addBias;
};

/** One row: its gradient, and its contributions to the gradients of weight and bias. */
template <typename T>
inline void backwardRow(const LayerNorm<T>& layer, i64 r, T mean, T rstd, const T* g, const LayerNormGradients<T>& to,
                        T* weightSum, T* biasSum) {
  const i64 n = layer.n;
  const T *x = layer.x + r * n, *weight = layer.weight;
  Vec<T> sums{}, normalSums{};
  forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
    const Vec<T> normal = (loadUpTo(x + i, lanes) - mean) * rstd, gradient = loadUpTo(g + i, lanes);
    const Vec<T> weighted = gradient * loadUpTo(weight + i, lanes);
    sums += weighted;
    normalSums += weighted * normal;
    if (weightSum) put(weightSum + i, gradient * normal, lanes, true);
    if (biasSum) put(biasSum + i, gradient, lanes, true);
  });
  if (!to.x) return;
  const T sum = sumOf<T>(sums) / static_cast<T>(n), normalSum = sumOf<T>(normalSums) / static_cast<T>(n);
  T* into = to.x + r * n;
  forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
    const Vec<T> normal = (loadUpTo(x + i, lanes) - mean) * rstd;
    const Vec<T> weighted = loadUpTo(g + i, lanes) * loadUpTo(weight + i, lanes);
    put(into + i, rstd * (weighted - sum - normal * normalSum), lanes, to.addX);
  });
}

/** to (n) (+)= the sums of the pieces, in their order. */
template <typename T>
void addPieces(T* to, const T* sums, i64 pieces, i64 n, i64 step, bool add) {
  forVectors<T>(0, n, [&](i64 i, i64 lanes) DAG_INLINE {
    Vec<T> sum = add ? loadUpTo(to + i, lanes) : Vec<T>{};
    for (i64 p = 0; p < pieces; p++) sum += loadUpTo(sums + p * step + i, lanes);
    storeUpTo(to + i, sum, lanes);
  });
}

template <typename T>
void layerNormBackward(const LayerNorm<T>& layer, const T* stats, const T* gradY, const LayerNormGradients<T>& to) {
  const i64 n = layer.n, pieces = (layer.rows + ROWS - 1) / ROWS;
  const bool sums = to.weight || to.bias;
  Scratch<T> shares(sums ? 2 * pieces * n : 0);
  if (!shares) return;
  parallelFor(pieces, [&](i64 piece) {
    T *weightSum = to.weight ? shares + 2 * piece * n : nullptr, *biasSum = to.bias ? shares + (2 * piece + 1) * n : nullptr;
    if (sums) std::memset(shares + 2 * piece * n, 0, 2 * n * sizeof(T));
    for (i64 r = piece * ROWS; r < least((piece + 1) * ROWS, layer.rows); r++)
      backwardRow<T>(layer, r, stats[2 * r], stats[2 * r + 1], gradY + r * n, to, weightSum, biasSum);
  });
  if (to.weight) addPieces<T>(to.weight, shares, pieces, n, 2 * n, to.addWeight);
  if (to.bias) addPieces<T>(to.bias, shares + n, pieces, n, 2 * n, to.addBias);
}

}  // namespace

#define DAG_LAYER_NORM(T)                                                                                            \
  DAG_KERNEL(layer_norm_##T)(const T* x, const T* weight, const T* bias, T* y, T* stats, i64 rows, i64 n, f64 eps) { \
    layerNorm<T>({x, weight, rows, n}, bias, y, stats, static_cast<T>(eps));                                         \
  }                                                                                                                  \
  DAG_SCRATCH_KERNEL(layer_norm_backward_##T)(const T* x, const T* weight, const T* stats, const T* gradY, T* gradX,         \
                                      T* gradWeight, T* gradBias, i64 rows, i64 n, i64 addX, i64 addWeight,          \
                                      i64 addBias) {                                                                 \
    const LayerNormGradients<T> to{gradX, gradWeight, gradBias, addX != 0, addWeight != 0, addBias != 0};            \
    return lacksMemory([&] { layerNormBackward<T>({x, weight, rows, n}, stats, gradY, to); });                       \
  }
DAG_LAYER_NORM(f32)
DAG_LAYER_NORM(f64)
