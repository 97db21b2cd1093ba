// The ops of src/elementwise.ts as formulas over a lane type: a number on CUDA, a vector in C++ and WebAssembly. The including
// file defines the lane functions that the formulas use (absOf, expOf, …), and DAG_LANES for functions that are always inlined.
// The build generates kinds.h from src/elementwise.ts; an op there without a formula here does not compile.
#pragma once
#include <cstdint>

#include "kinds.h"

namespace {

#define DAG_NAME(name) name,
enum class UnaryKind : int64_t { DAG_UNARY_KINDS(DAG_NAME) };
enum class BinaryKind : int64_t { DAG_BINARY_KINDS(DAG_NAME) };
/** `copy`: the operand itself. */
enum class Share : int64_t { DAG_SHARES(DAG_NAME) copy };
enum class Activation : int64_t { none, DAG_ACTIVATIONS(DAG_NAME) };
#undef DAG_NAME
#define DAG_ONE(name) +1
[[maybe_unused]] constexpr int64_t LAST_ACTIVATION = 0 DAG_ACTIVATIONS(DAG_ONE);
#undef DAG_ONE

/** x clamped to [low, high]; NaN stays NaN. */
template <typename L>
DAG_LANES L clampOf(L x, L low, L high) {
  const L above = x < low ? low : x;
  return above > high ? high : above;
}

/** y from x, and dy/dx from x and y; p and q are the parameters of `affine`, `clamp` and `huber`. */
#define DAG_UNARY(name, VALUE, DERIVATIVE)                                                                   \
  struct name {                                                                                              \
    template <typename L>                                                                                    \
    DAG_LANES static L value([[maybe_unused]] L x, [[maybe_unused]] L p, [[maybe_unused]] L q) {             \
      return VALUE;                                                                                          \
    }                                                                                                        \
    template <typename L>                                                                                    \
    DAG_LANES static L derivative([[maybe_unused]] L x, [[maybe_unused]] L y, [[maybe_unused]] L p,          \
                                  [[maybe_unused]] L q) {                                                    \
      [[maybe_unused]] const L zero{}, one = zero + 1;                                                       \
      return DERIVATIVE;                                                                                     \
    }                                                                                                        \
  };

namespace unary_ops {
// The derivative at 0 is x itself: ±0, or NaN.
DAG_UNARY(abs, absOf(x), x > 0 ? one : x < 0 ? -one : x)
DAG_UNARY(exp, expOf(x), y)
DAG_UNARY(log, logOf(x), one / x)
DAG_UNARY(sqrt, sqrtOf(x), one / (y + y))
DAG_UNARY(square, x * x, x + x)
DAG_UNARY(sigmoid, sigmoidOf(x), y * (one - y))
DAG_UNARY(softplus, softplusOf(x), sigmoidOf(x))
DAG_UNARY(affine, p * x + q, p)
DAG_UNARY(clamp, clampOf(x, p, q), (x >= p) & (x <= q) ? one : zero)
DAG_UNARY(huber, absOf(x) <= p ? x * x / 2 : p * (absOf(x) - p / 2), clampOf(x, -p, p))
DAG_UNARY(tanh, tanhOf(x), one - y * y)
DAG_UNARY(gelu, geluOf(x), geluDerivativeOf(x))
DAG_UNARY(silu, x * sigmoidOf(x), sigmoidOf(x) * (one + x * (one - sigmoidOf(x))))
DAG_UNARY(geluTanh, geluTanhOf(x), geluTanhDerivativeOf(x))
DAG_UNARY(relu, x > 0 ? x : x != x ? x : L{}, y <= 0 ? zero : one)
DAG_UNARY(sin, sinOf(x), cosOf(x))
DAG_UNARY(cos, cosOf(x), -sinOf(x))
// ±0, or NaN, is x itself.
DAG_UNARY(sign, x > 0 ? L{} + 1 : x < 0 ? L{} - 1 : x, zero)
}  // namespace unary_ops
#undef DAG_UNARY

#define DAG_BINARY(name, VALUE)                          \
  struct name {                                          \
    template <typename L>                                \
    DAG_LANES static L value(L a, L b) {                 \
      [[maybe_unused]] const L zero{}, one = zero + 1;   \
      return VALUE;                                      \
    }                                                    \
  };

namespace binary_ops {
DAG_BINARY(add, a + b)
DAG_BINARY(sub, a - b)
DAG_BINARY(mul, a * b)
DAG_BINARY(div, a / b)
// NaN where either operand is NaN.
DAG_BINARY(maximum, (a > b) | (a != a) ? a : b)
DAG_BINARY(minimum, (a < b) | (a != a) ? a : b)
DAG_BINARY(pow, powOf(a, b))
DAG_BINARY(masked, b != 0 ? a : -zero)
DAG_BINARY(equal, a == b ? one : zero)
DAG_BINARY(notEqual, a != b ? one : zero)
DAG_BINARY(greater, a > b ? one : zero)
DAG_BINARY(greaterEqual, a >= b ? one : zero)
DAG_BINARY(logicalAnd, (a != 0) & (b != 0) ? one : zero)
}  // namespace binary_ops
#undef DAG_BINARY

/** The gradient that an operand receives from g; whether the formula reads the operand itself, and the other operand. */
#define DAG_SHARE(name, SELF_TOO, OTHER_TOO, VALUE)                                                          \
  struct name {                                                                                              \
    static constexpr bool needsSelf = SELF_TOO, needsOther = OTHER_TOO;                                      \
    template <typename L>                                                                                    \
    DAG_LANES static L value([[maybe_unused]] L g, [[maybe_unused]] L self, [[maybe_unused]] L other,           \
                             [[maybe_unused]] L factor) {                                                        \
      [[maybe_unused]] const L zero{};                                                                       \
      return VALUE;                                                                                          \
    }                                                                                                        \
  };

namespace shares {
DAG_SHARE(scaled, false, false, g * factor)
DAG_SHARE(timesOther, false, true, g * other)
DAG_SHARE(overOther, false, true, g / other)
DAG_SHARE(asDivisor, true, true, g * (-other / (self * self)))
DAG_SHARE(ifLarger, true, true, factor * self > factor * other ? g : self == other ? g / 2 : zero)
DAG_SHARE(asBase, true, true, other == 0 ? zero : g * (other * powOf(self, other - 1)))
DAG_SHARE(asExponent, true, true, (other == 0) & (self >= 0) ? zero : g * powTimesLogOf(other, self))
DAG_SHARE(ifOther, false, true, other != 0 ? g : zero)
DAG_SHARE(nothing, false, false, zero)
}  // namespace shares
#undef DAG_SHARE

}  // namespace
