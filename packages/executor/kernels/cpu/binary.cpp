// Functions of two operands with broadcasting, and for their gradients sums over the broadcast dimensions.
#include "vector_math.h"
#include "walk.h"

#include "../elementwise.h"

namespace {

/** A row of an operand: consecutive elements, or (REPEATED) one broadcast element. */
template <typename T, bool REPEATED>
struct Row {
  const T* p;
  inline DAG_INLINE Vec<T> operator()(i64 i, i64 lanes) const { return REPEATED ? splat(*p) : loadUpTo(p + i, lanes); }
  inline DAG_INLINE T operator[](i64 i) const { return REPEATED ? *p : p[i]; }
};

template <typename T>
struct BinaryPass {
  const T* a;
  const T* b;
  T* y;
};

template <bool REPEAT_A, bool REPEAT_B, typename T, typename F>
inline DAG_INLINE void applyRows(const Piece<3>& piece, const BinaryPass<T>& pass, const F& f) {
  const i64 columns = piece.columns();
  piece.forPlanes([&](const i64 (&at)[3]) DAG_INLINE {
    Row<T, REPEAT_A> a{pass.a + at[0]};
    Row<T, REPEAT_B> b{pass.b + at[1]};
    T* y = pass.y + at[2];
    for (i64 r = piece.rows(); r > 0; r--) {
      forVectors<T>(0, columns, [&](i64 i, i64 lanes) DAG_INLINE { storeUpTo(y + i, f(a(i, lanes), b(i, lanes)), lanes); });
      a.p += piece.rowStride(0);
      b.p += piece.rowStride(1);
      y += piece.rowStride(2);
    }
  });
}

template <typename T, typename F>
void applyPiece(const Piece<3>& piece, const BinaryPass<T>& pass, const F& f) {
  // Both are repeated only along dimensions of size 1.
  if (piece.columnStride(0) == 0 && piece.columns() > 1) applyRows<true, false>(piece, pass, f);
  else if (piece.columnStride(1) == 0 && piece.columns() > 1) applyRows<false, true>(piece, pass, f);
  else applyRows<false, false>(piece, pass, f);
}

template <typename T>
void binaryPiece(i64 kind, const Piece<3>& piece, const BinaryPass<T>& pass) {
  switch (static_cast<BinaryKind>(kind)) {
#define DAG_CASE(name)   \
  case BinaryKind::name: \
    return applyPiece(piece, pass, [](Vec<T> a, Vec<T> b) DAG_INLINE { return binary_ops::name::value(a, b); });
    DAG_BINARY_KINDS(DAG_CASE)
#undef DAG_CASE
  }
  dagUnknownKind("binary", kind);
}

template <typename T>
void binary(i64 kind, const f64* walk, const BinaryPass<T>& pass) {
  forPieces(readWalk<3>(walk, 2), [](i64) { return true; },
            [&](const Piece<3>& piece) { binaryPiece(kind, piece, pass); });
}

/** Operands of the walk: the operand whose gradient is computed, the other operand, the upstream gradient, and the result. */
enum Operand : int { SELF, OTHER, G, INTO };

template <typename T>
struct SharePass {
  i64 kind;
  T factor;
  const T* self;
  const T* other;
  const T* g;
};

/** Vectors of columns whose sums stay in registers. */
constexpr i64 COLUMNS = 4;

/** into[columns] += Σ over the rows; overwrites if `add` is false. */
template <i64 COUNT, bool REPEAT_OTHER, typename T, typename F>
inline DAG_INLINE void sumRows(const Piece<4>& piece, Row<T, false> self, Row<T, REPEAT_OTHER> other, Row<T, false> g,
                               T* into, i64 lanes, bool add, const F& f) {
  Vec<T> sums[COUNT] = {};
  for (i64 r = piece.rows(); r > 0; r--) {
#pragma GCC unroll 4
    for (i64 c = 0; c < COUNT; c++) {
      const i64 i = c * LANES<T>;
      sums[c] += f(g(i, lanes), self(i, lanes), other(i, lanes));
    }
    self.p += piece.rowStride(SELF);
    other.p += piece.rowStride(OTHER);
    g.p += piece.rowStride(G);
  }
#pragma GCC unroll 4
  for (i64 c = 0; c < COUNT; c++) put(into + c * LANES<T>, sums[c], lanes, add);
}

/** Columns are elements of the gradient; sums over rows if `into` has stride 0 along them. */
template <bool REPEAT_OTHER, typename T, typename F>
void shareColumns(const Piece<4>& piece, const SharePass<T>& pass, T* into, bool add, const F& f) {
  constexpr i64 L = LANES<T>;
  const i64 columns = piece.columns();
  const bool sums = piece.rows() > 1 && piece.rowStride(INTO) == 0;
  piece.forPlanes([&](const i64 (&at)[4]) DAG_INLINE {
    Row<T, false> self{pass.self + at[SELF]}, g{pass.g + at[G]};
    Row<T, REPEAT_OTHER> other{pass.other + at[OTHER]};
    T* to = into + at[INTO];
    if (sums) {
      const auto from = [&](i64 i) { return Row<T, REPEAT_OTHER>{REPEAT_OTHER ? other.p : other.p + i}; };
      i64 i = 0;
      for (; i + COLUMNS * L <= columns; i += COLUMNS * L)
        sumRows<COLUMNS, REPEAT_OTHER>(piece, {self.p + i}, from(i), {g.p + i}, to + i, L, add, f);
      for (; i < columns; i += L)
        sumRows<1, REPEAT_OTHER>(piece, {self.p + i}, from(i), {g.p + i}, to + i, least(L, columns - i), add, f);
      return;
    }
    for (i64 r = piece.rows(); r > 0; r--) {
      forVectors<T>(0, columns, [&](i64 i, i64 lanes) DAG_INLINE {
        put(to + i, f(g(i, lanes), self(i, lanes), other(i, lanes)), lanes, add);
      });
      self.p += piece.rowStride(SELF);
      other.p += piece.rowStride(OTHER);
      g.p += piece.rowStride(G);
      to += piece.rowStride(INTO);
    }
  });
}

/** The sum of a row: by vectors, or element by element if it is short. */
template <typename T, typename F>
inline DAG_INLINE T sumRow(Row<T, true> self, Row<T, false> other, Row<T, false> g, i64 n, const F& f) {
  constexpr i64 L = LANES<T>;
  T sum = 0;
  i64 i = 0;
  if (n >= 2 * L) {
    Vec<T> sums[4] = {};
    for (; i + 4 * L <= n; i += 4 * L)
#pragma GCC unroll 4
      for (i64 c = 0; c < 4; c++) sums[c] += f(g(i + c * L, L), self(0, L), other(i + c * L, L));
    for (; i + L <= n; i += L) sums[0] += f(g(i, L), self(0, L), other(i, L));
    sum = sumOf<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
  for (; i < n; i++) sum += f(g[i], self[0], other[i]);
  return sum;
}

/** Rows are elements of the gradient, or are summed as well. */
template <typename T, typename F>
void shareRows(const Piece<4>& piece, const SharePass<T>& pass, T* into, bool add, const F& f) {
  const i64 columns = piece.columns();
  const bool sums = piece.rowStride(INTO) == 0;
  piece.forPlanes([&](const i64 (&at)[4]) DAG_INLINE {
    Row<T, true> self{pass.self + at[SELF]};
    Row<T, false> other{pass.other + at[OTHER]}, g{pass.g + at[G]};
    T* to = into + at[INTO];
    T total = 0;
    for (i64 r = piece.rows(); r > 0; r--) {
      const T sum = sumRow(self, other, g, columns, f);
      if (sums) total += sum;
      else *to = add ? *to + sum : sum;
      self.p += piece.rowStride(SELF);
      other.p += piece.rowStride(OTHER);
      g.p += piece.rowStride(G);
      to += piece.rowStride(INTO);
    }
    if (sums) *to = add ? *to + total : total;
  });
}

template <typename T, typename F>
void applyShare(const Piece<4>& piece, const SharePass<T>& pass, T* into, bool add, const F& f) {
  if (piece.columnStride(INTO) == 0) shareRows(piece, pass, into, add, f);
  else if (piece.columnStride(OTHER) == 0) shareColumns<true>(piece, pass, into, add, f);
  else shareColumns<false>(piece, pass, into, add, f);
}

/** The functions are called with vectors and, at the ends of rows, with numbers. */
template <typename T>
void sharePiece(const Piece<4>& piece, const SharePass<T>& pass, T* into, bool add) {
  const T factor = pass.factor;
  switch (static_cast<Share>(pass.kind)) {
#define DAG_CASE(name)                                                             \
  case Share::name:                                                                \
    return applyShare(piece, pass, into, add, [=](auto g, auto self, auto other) DAG_INLINE { \
      return shares::name::value(g, self, other, decltype(g){} + factor);          \
    });
    DAG_SHARES(DAG_CASE)
#undef DAG_CASE
    case Share::copy:
      break;
  }
  dagUnknownKind("share", pass.kind);
}

/** A gradient of at most this many elements may be summed by pieces that each have their own partial sum. */
constexpr i64 SMALL = 4096;

template <typename T>
void share(const Walk<4>& walk, const SharePass<T>& pass, T* into, bool accumulate) {
  const i64 size = walk.size();
  const auto kept = [&](i64 d) { return walk.strides[INTO][d] != 0 || walk.shape[d] == 1; };
  i64 elements = 1;
  // Sums over outer dimensions return to elements that were already written.
  bool revisits = false;
  for (i64 d = 0; d < walk.rank; d++) {
    if (kept(d)) elements *= walk.shape[d];
    else if (d < walk.rank - 2) revisits = true;
  }
  if (!accumulate && elements > 0 && (revisits || size == 0)) std::memset(into, 0, elements * sizeof(T));
  if (size == 0) return;
  const i64 d = dimensionToCut(walk, [](i64) { return true; });
  if (kept(d) || size <= GRAIN || elements > SMALL)
    return forPieces(walk, kept,
                     [&](const Piece<4>& piece) { sharePiece(piece, pass, into, accumulate || revisits); });
  // Each piece has its own sum; these are added in the order of the pieces.
  const i64 grain = most(grainOf(walk, d), (8 * elements * walk.shape[d] + size - 1) / size);
  const i64 pieces = (walk.shape[d] + grain - 1) / grain;
  Scratch<T> sums(pieces * elements);
  if (!sums) return;
  parallelFor(pieces, [&](i64 p) {
    T* sum = sums + p * elements;
    if (revisits) std::memset(sum, 0, elements * sizeof(T));
    sharePiece(Piece<4>(walk, {d, p * grain, least((p + 1) * grain, walk.shape[d])}), pass, sum, revisits);
  });
  forVectors<T>(0, elements, [&](i64 i, i64 lanes) {
    Vec<T> sum = accumulate ? loadUpTo(into + i, lanes) : Vec<T>{};
    for (i64 p = 0; p < pieces; p++) sum += loadUpTo(sums + p * elements + i, lanes);
    storeUpTo(into + i, sum, lanes);
  });
}

Walk<4> shareWalk(const f64* packed) {
  Walk<4> walk = readWalk<4>(packed, 2);
  for (i64 d = 0; d < walk.rank; d++) walk.strides[INTO][d] = walk.strides[SELF][d];
  return walk;
}

/** A sum is a share whose other operands are never read. */
Walk<4> sumWalk(const f64* packed) {
  const Walk<2> given = readWalk<2>(packed, 2);
  Walk<4> walk;
  walk.rank = given.rank;
  for (i64 d = 0; d < walk.rank; d++) {
    walk.shape[d] = given.shape[d];
    walk.strides[G][d] = walk.strides[OTHER][d] = given.strides[0][d];
    walk.strides[INTO][d] = walk.strides[SELF][d] = given.strides[1][d];
  }
  return walk;
}

}  // namespace

DAG_KERNEL(binary_f32)(i64 kind, const f64* walk, const f32* a, const f32* b, f32* y) {
  binary<f32>(kind, walk, {a, b, y});
}
DAG_KERNEL(binary_f64)(i64 kind, const f64* walk, const f64* a, const f64* b, f64* y) {
  binary<f64>(kind, walk, {a, b, y});
}

/** The packed walk is that of self and other; g is contiguous. */
DAG_SCRATCH_KERNEL(share_f32)(i64 kind, f64 factor, const f64* walk, const f32* self, const f32* other, const f32* g, f32* into,
                      i64 accumulate) {
  return lacksMemory([&] { share<f32>(shareWalk(walk), {kind, static_cast<f32>(factor), self, other, g}, into, accumulate != 0); });
}
DAG_SCRATCH_KERNEL(share_f64)(i64 kind, f64 factor, const f64* walk, const f64* self, const f64* other, const f64* g, f64* into,
                      i64 accumulate) {
  return lacksMemory([&] { share<f64>(shareWalk(walk), {kind, factor, self, other, g}, into, accumulate != 0); });
}

/** The packed walk is that of x, with innermost stride 1, and of y, which is contiguous except for strides of 0. */
DAG_SCRATCH_KERNEL(sum_f32)(const f64* walk, const f32* x, f32* y, i64 accumulate) {
  return lacksMemory([&] { share<f32>(sumWalk(walk), {static_cast<i64>(Share::scaled), 1, x, x, x}, y, accumulate != 0); });
}
DAG_SCRATCH_KERNEL(sum_f64)(const f64* walk, const f64* x, f64* y, i64 accumulate) {
  return lacksMemory([&] { share<f64>(sumWalk(walk), {static_cast<i64>(Share::scaled), 1, x, x, x}, y, accumulate != 0); });
}
