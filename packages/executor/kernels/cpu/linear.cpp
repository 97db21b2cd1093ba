// A linear layer with the operations that follow it in a transformer block, as the epilogue of the product:
// y = residual + dropout(activation(x·Wᵀ + b)). The epilogue runs on parts of the result while they are in the cache.
#include "matmul.h"
#include "philox.h"
#include "vector_math.h"

#include "../elementwise.h"

namespace {

constexpr i64 L = LANES<f32>;
/** Rows per piece: the gradient of the bias is summed per piece, then over pieces. */
constexpr i64 ROWS = 64;
/** Elements whose dropout factors are computed at a time. */
constexpr i64 STRIP = RANDOM_BLOCK;

Activation activationOf(i64 kind) {
  if (kind < 0 || kind > LAST_ACTIVATION) dagUnknownKind("linear", kind);
  return static_cast<Activation>(kind);
}

Vec<f32> activated(Activation activation, Vec<f32> x) {
  switch (activation) {
#define DAG_CASE(name) \
  case Activation::name: return unary_ops::name::value(x, x, x);
    DAG_ACTIVATIONS(DAG_CASE)
#undef DAG_CASE
    case Activation::none:
      break;
  }
  return x;
}

/** The derivative of an activation at x. */
Vec<f32> slopeOf(Activation activation, Vec<f32> x) {
  switch (activation) {
#define DAG_CASE(name) \
  case Activation::name: return unary_ops::name::derivative(x, x, x, x);
    DAG_ACTIVATIONS(DAG_CASE)
#undef DAG_CASE
    case Activation::none:
      break;
  }
  return splat(1.f);
}

struct Layer {
  i64 columns;
  const f32* bias;
  /** Receives x·Wᵀ + b, if the gradient of the activation needs it; else null. */
  f32* preactivation;
  Activation activation;
  Dropout dropout;
  const f32* residual;
  f32* y;
};

void finishRows(const Layer& layer, i64 row, i64 rowEnd, i64 column, i64 columnEnd) {
  f32 factors[2 * RANDOM_BLOCK + 4];
  for (i64 r = row; r < rowEnd; r++)
    for (i64 strip = column; strip < columnEnd; strip += STRIP) {
      const i64 stripEnd = least(strip + STRIP, columnEnd), first = r * layer.columns + strip;
      if (layer.dropout.active()) layer.dropout.factors(static_cast<u64>(first), stripEnd - strip, factors);
      for (i64 j = strip; j < stripEnd; j += L) {
        const i64 n = least(L, stripEnd - j), at = r * layer.columns + j;
        Vec<f32> v = loadUpTo(layer.y + at, n);
        if (layer.bias) v += loadUpTo(layer.bias + j, n);
        if (layer.preactivation) storeUpTo(layer.preactivation + at, v, n);
        v = activated(layer.activation, v);
        if (layer.dropout.active()) v *= load(factors + (j - strip));
        if (layer.residual) v += loadUpTo(layer.residual + at, n);
        storeUpTo(layer.y + at, v, n);
      }
    }
}

struct LayerGradient {
  i64 columns;
  const f32* gradY;
  const f32* preactivation;
  Activation activation;
  Dropout dropout;
  /** Receives the gradient of x·Wᵀ + b; null if that equals gradY. */
  f32* gradSum;
};

/** Rows of the gradient of x·Wᵀ + b, and their sum in `total`. */
void backwardRows(const LayerGradient& layer, i64 row, i64 rowEnd, f32* total) {
  f32 factors[2 * RANDOM_BLOCK + 4];
  if (total) std::memset(total, 0, layer.columns * sizeof(f32));
  for (i64 r = row; r < rowEnd; r++)
    for (i64 strip = 0; strip < layer.columns; strip += STRIP) {
      const i64 stripEnd = least(strip + STRIP, layer.columns), first = r * layer.columns + strip;
      if (layer.dropout.active()) layer.dropout.factors(static_cast<u64>(first), stripEnd - strip, factors);
      for (i64 j = strip; j < stripEnd; j += L) {
        const i64 n = least(L, stripEnd - j), at = r * layer.columns + j;
        Vec<f32> g = loadUpTo(layer.gradY + at, n);
        if (layer.dropout.active()) g *= load(factors + (j - strip));
        if (layer.preactivation) g *= slopeOf(layer.activation, loadUpTo(layer.preactivation + at, n));
        if (layer.gradSum) storeUpTo(layer.gradSum + at, g, n);
        if (total) storeUpTo(total + j, loadUpTo(total + j, n) + g, n);
      }
    }
}

}  // namespace

DAG_SCRATCH_KERNEL(linear_f32)(i64 m, i64 n, i64 k, const f32* x, const f32* weight, const f32* bias, i64 activation, f64 p,
                       f64 seedLow, f64 seedHigh, const f32* residual, f32* y, f32* preactivation) {
  const Layer layer{n, bias, preactivation, activationOf(activation), Dropout(p, seedLow, seedHigh), residual, y};
  const auto finish = [](const void* context, i64 row, i64 rowEnd, i64 column, i64 columnEnd) {
    finishRows(*static_cast<const Layer*>(context), row, rowEnd, column, columnEnd);
  };
  return lacksMemory([&] { oneProduct<f32>({m, n, k, false, true, false, x, weight, y}, {finish, &layer}); });
}

/** From the gradient of y computes that of x·Wᵀ + b (gradSum null: it equals gradY), and its sum over the rows, the gradient of b. */
DAG_SCRATCH_KERNEL(linear_backward_f32)(i64 m, i64 n, const f32* gradY, const f32* preactivation, i64 activation, f64 p,
                                f64 seedLow, f64 seedHigh, f32* gradSum, f32* gradBias, i64 accumulate) {
  const LayerGradient layer{n, gradY, preactivation, activationOf(activation), Dropout(p, seedLow, seedHigh), gradSum};
  const i64 pieces = (m + ROWS - 1) / ROWS;
  Scratch<f32> totals(gradBias ? pieces * n : 0);
  if (!totals) return true;
  parallelFor(pieces, [&](i64 piece) {
    backwardRows(layer, piece * ROWS, least((piece + 1) * ROWS, m), gradBias ? totals + piece * n : nullptr);
  });
  if (!gradBias) return false;
  for (i64 j = 0; j < n; j += L) {
    const i64 lanes = least(L, n - j);
    Vec<f32> sum = accumulate ? loadUpTo(gradBias + j, lanes) : Vec<f32>{};
    for (i64 piece = 0; piece < pieces; piece++) sum += loadUpTo(totals + piece * n + j, lanes);
    storeUpTo(gradBias + j, sum, lanes);
  }
  return false;
}
