// Strided walks over several operands, cut into pieces for the threads. Each innermost row or plane is one call, which advances by
// adding strides; no offset is computed from an element index.
#pragma once
#include "stream.h"

namespace {

/** Most dimensions of a walk after neighbours are merged; see src/backends/cpp/walk.ts. */
constexpr i64 MAX_RANK = 12;

template <int N>
struct Walk {
  /** At least 2, because the innermost loops are over planes. */
  i64 rank;
  i64 shape[MAX_RANK];
  i64 strides[N][MAX_RANK];

  i64 size() const {
    i64 size = 1;
    for (i64 d = 0; d < rank; d++) size *= shape[d];
    return size;
  }
};

/** The walk that src/backends/cpp/walk.ts packed for the first `given` operands; the others are contiguous. */
template <int N>
inline Walk<N> readWalk(const f64* packed, int given) {
  Walk<N> walk;
  const i64 rank = static_cast<i64>(packed[0]), missing = rank < 2 ? 2 - rank : 0;
  walk.rank = rank + missing;
  for (i64 d = 0; d < walk.rank; d++) walk.shape[d] = d < missing ? 1 : static_cast<i64>(packed[1 + d - missing]);
  for (int o = 0; o < given; o++)
    for (i64 d = 0; d < walk.rank; d++)
      walk.strides[o][d] = d < missing ? 0 : static_cast<i64>(packed[1 + (o + 1) * MAX_RANK + d - missing]);
  for (int o = given; o < N; o++) {
    i64 step = 1;
    for (i64 d = walk.rank - 1; d >= 0; step *= walk.shape[d--]) walk.strides[o][d] = step;
  }
  return walk;
}

/** Indices begin … end − 1 of dimension `d` of a walk. */
struct Cut {
  i64 d, begin, end;
};

/** A piece of a walk, and the offsets of its operands. */
template <int N>
struct Piece {
  Walk<N> walk;
  i64 starts[N];

  Piece(const Walk<N>& whole, Cut cut) : walk(whole) {
    walk.shape[cut.d] = cut.end - cut.begin;
    for (int o = 0; o < N; o++) starts[o] = cut.begin * whole.strides[o][cut.d];
  }

  /** body(at) for each innermost plane, `at` the first element of each operand. */
  template <typename Body>
  inline DAG_INLINE void forPlanes(const Body& body) const {
    i64 at[N], index[MAX_RANK] = {}, planes = 1;
    for (int o = 0; o < N; o++) at[o] = starts[o];
    for (i64 d = 0; d < walk.rank - 2; d++) planes *= walk.shape[d];
    for (; planes > 0; planes--) {
      body(at);
      if (planes > 1) toNextPlane(at, index);
    }
  }

  /** Not inlined: kernels spend their time in rows, and this would be repeated in each of them. */
  __attribute__((noinline)) void toNextPlane(i64 (&at)[N], i64 (&index)[MAX_RANK]) const {
    for (i64 d = walk.rank - 3; d >= 0; d--) {
      for (int o = 0; o < N; o++) at[o] += walk.strides[o][d];
      if (++index[d] < walk.shape[d]) return;
      for (int o = 0; o < N; o++) at[o] -= walk.strides[o][d] * walk.shape[d];
      index[d] = 0;
    }
  }

  i64 rows() const { return walk.shape[walk.rank - 2]; }
  i64 columns() const { return walk.shape[walk.rank - 1]; }
  i64 rowStride(int o) const { return walk.strides[o][walk.rank - 2]; }
  i64 columnStride(int o) const { return walk.strides[o][walk.rank - 1]; }
};

/** A dimension with fewer indices gives too few pieces for the threads. */
constexpr i64 ENOUGH = 8;

/** The dimension to cut, among those for which `may` is true: the first with enough indices, else the largest. */
template <int N, typename May>
inline i64 dimensionToCut(const Walk<N>& walk, const May& may) {
  i64 largest = -1;
  for (i64 d = 0; d < walk.rank; d++) {
    if (!may(d)) continue;
    if (walk.shape[d] >= ENOUGH) return d;
    if (largest < 0 || walk.shape[d] > walk.shape[largest]) largest = d;
  }
  return largest;
}

/** Indices of dimension `d` in a piece of about GRAIN elements. */
template <int N>
inline i64 grainOf(const Walk<N>& walk, i64 d) {
  return most(1, GRAIN / most(1, walk.size() / walk.shape[d]));
}

/** Calls body(piece) for pieces of a walk on all threads; no two pieces write the same element. */
template <int N, typename May, typename Body>
inline void forPieces(const Walk<N>& walk, const May& mayCut, const Body& body) {
  const i64 size = walk.size();
  if (size == 0) return;
  const i64 d = dimensionToCut(walk, mayCut);
  if (size <= GRAIN || d < 0) return body(Piece<N>(walk, {0, 0, walk.shape[0]}));
  parallelRanges(walk.shape[d], grainOf(walk, d),
                 [&](i64 begin, i64 end) { body(Piece<N>(walk, {d, begin, end})); });
}

}  // namespace
