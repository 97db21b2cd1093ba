// Filling, converting and copying between layouts.
#include "walk.h"

namespace {

template <typename T>
void fill(T* y, i64 n, T value) {
  parallelRanges(n, GRAIN, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; i++) y[i] = value;
  });
}

template <typename From, typename To>
void cast(const From* x, To* y, i64 n, bool accumulate) {
  parallelRanges(n, GRAIN, [&](i64 begin, i64 end) {
    if (accumulate)
      for (i64 i = begin; i < end; i++) y[i] = static_cast<To>(y[i] + x[i]);
    else
      for (i64 i = begin; i < end; i++) y[i] = static_cast<To>(x[i]);
  });
}

/** Rows and columns of a tile of a plane that one operand reads along columns and the other along rows. */
constexpr i64 TILE = 16;

template <typename T, typename Put>
inline DAG_INLINE void copyPlane(const Piece<2>& piece, const T* x, T* y, const Put& put) {
  const i64 rows = piece.rows(), columns = piece.columns();
  const i64 rowX = piece.rowStride(0), rowY = piece.rowStride(1);
  const i64 columnX = piece.columnStride(0), columnY = piece.columnStride(1);
  // A transposed plane is copied by tiles, so that all of a cache line is used while it is in the cache.
  const i64 tile = columnX > 1 && columnX > rowX ? TILE : columns;
  for (i64 from = 0; from < columns; from += tile) {
    const i64 to = least(from + tile, columns);
    for (i64 r = 0; r < rows; r++)
      for (i64 c = from; c < to; c++) put(y[r * rowY + c * columnY], x[r * rowX + c * columnX]);
  }
}

/** Planes whose columns are contiguous in y, and in x contiguous or (REPEATED) one repeated element. */
template <bool REPEATED, typename T>
inline DAG_INLINE void copyRows(const Piece<2>& piece, const T* x, T* y, bool accumulate) {
  const i64 columns = piece.columns();
  for (i64 r = piece.rows(); r > 0; r--) {
    forVectors<T>(0, columns, [&](i64 i, i64 lanes) DAG_INLINE {
      put(y + i, REPEATED ? splat(*x) : loadUpTo(x + i, lanes), lanes, accumulate);
    });
    x += piece.rowStride(0);
    y += piece.rowStride(1);
  }
}

/** Requires that the walk visits each element of y once. */
template <typename T>
void copyStrided(const Walk<2>& walk, const T* x, T* y, bool accumulate) {
  // A large transposed plane is cut along its columns, so that each piece has enough rows for tiles.
  const i64 inner = walk.rank - 1;
  const bool tiles = walk.strides[0][inner] > walk.strides[0][inner - 1] && walk.shape[inner] >= ENOUGH * TILE;
  forPieces(walk, [=](i64 d) { return !tiles || d == inner; }, [&](const Piece<2>& piece) {
    const i64 columnX = piece.columnStride(0), columnY = piece.columnStride(1);
    piece.forPlanes([&](const i64 (&at)[2]) DAG_INLINE {
      if (columnY == 1 && columnX == 1) copyRows<false>(piece, x + at[0], y + at[1], accumulate);
      else if (columnY == 1 && columnX == 0) copyRows<true>(piece, x + at[0], y + at[1], accumulate);
      else if (accumulate) copyPlane(piece, x + at[0], y + at[1], [](T& to, T from) DAG_INLINE { to += from; });
      else copyPlane(piece, x + at[0], y + at[1], [](T& to, T from) DAG_INLINE { to = from; });
    });
  });
}

}  // namespace

DAG_KERNEL(fill_f32)(f32* y, i64 n, f64 value) { fill(y, n, static_cast<f32>(value)); }
DAG_KERNEL(fill_f64)(f64* y, i64 n, f64 value) { fill(y, n, value); }

DAG_KERNEL(cast_f32_f32)(const f32* x, f32* y, i64 n, i64 accumulate) { cast(x, y, n, accumulate != 0); }
DAG_KERNEL(cast_f32_f64)(const f32* x, f64* y, i64 n, i64 accumulate) { cast(x, y, n, accumulate != 0); }
DAG_KERNEL(cast_f64_f32)(const f64* x, f32* y, i64 n, i64 accumulate) { cast(x, y, n, accumulate != 0); }
DAG_KERNEL(cast_f64_f64)(const f64* x, f64* y, i64 n, i64 accumulate) { cast(x, y, n, accumulate != 0); }

DAG_KERNEL(copy_f32)(const f64* walk, const f32* x, i64 offsetX, f32* y, i64 offsetY, i64 accumulate) {
  copyStrided(readWalk<2>(walk, 2), x + offsetX, y + offsetY, accumulate != 0);
}
DAG_KERNEL(copy_f64)(const f64* walk, const f64* x, i64 offsetX, f64* y, i64 offsetY, i64 accumulate) {
  copyStrided(readWalk<2>(walk, 2), x + offsetX, y + offsetY, accumulate != 0);
}
