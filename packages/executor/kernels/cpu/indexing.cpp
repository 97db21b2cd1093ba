// Elements and rows by index, and running sums.
#include "stream.h"

namespace {

/** y[i] = x[i, index[i]] for rows of n; an index of −1 gives 0. */
template <typename T>
void gather(const T* x, const i32* index, T* y, i64 rows, i64 n) {
  parallelRanges(rows, GRAIN, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; i++) y[i] = index[i] < 0 ? 0 : x[i * n + index[i]];
  });
}

template <typename T>
void gatherBackward(const i32* index, const T* gradY, T* gradX, i64 rows, i64 n, bool accumulate) {
  parallelRanges(rows, most(1, GRAIN / most(1, n)), [&](i64 begin, i64 end) {
    if (!accumulate) std::memset(gradX + begin * n, 0, (end - begin) * n * sizeof(T));
    for (i64 i = begin; i < end; i++)
      if (index[i] >= 0) gradX[i * n + index[i]] += gradY[i];
  });
}

/** y[i, :] = table[index[i], :] for rows of n. */
template <typename T>
void embedding(const T* table, const i32* index, T* y, i64 rows, i64 n) {
  parallelRanges(rows, most(1, GRAIN / most(1, n)), [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; i++) std::memcpy(y + i * n, table + index[i] * n, n * sizeof(T));
  });
}

/** Columns of a table that one thread adds to, for all indices in their order: no two threads write to one element. */
constexpr i64 COLUMNS = 64;

template <typename T>
void embeddingBackward(const i32* index, const T* gradY, T* gradTable, i64 tableRows, i64 rows, i64 n, bool accumulate) {
  if (!accumulate)
    parallelRanges(tableRows * n, GRAIN,
                   [&](i64 begin, i64 end) { std::memset(gradTable + begin, 0, (end - begin) * sizeof(T)); });
  const auto addColumns = [&](i64 begin, i64 end) {
    for (i64 i = 0; i < rows; i++) {
      T* to = gradTable + index[i] * n;
      const T* from = gradY + i * n;
      forVectors<T>(begin, end, [&](i64 c, i64 lanes) DAG_INLINE { put(to + c, loadUpTo(from + c, lanes), lanes, true); });
    }
  };
  if (rows * n <= GRAIN) addColumns(0, n);
  else parallelRanges(n, COLUMNS, addColumns);
}

/** Columns whose running sums are kept at a time, in double as in the reference: counters must not drift. */
constexpr i64 SUMS = 256;

template <typename T>
void cumsum(const T* x, T* y, i64 outer, i64 n, i64 inner, bool reverse, bool accumulate) {
  const i64 strips = (inner + SUMS - 1) / SUMS;
  parallelRanges(outer * strips, most(1, GRAIN / most(1, n * least(inner, SUMS))), [&](i64 begin, i64 end) {
    for (i64 piece = begin; piece < end; piece++) {
      const i64 column = piece % strips * SUMS, columns = least(SUMS, inner - column);
      const i64 first = piece / strips * n * inner + column;
      f64 sums[SUMS] = {};
      for (i64 t = 0; t < n; t++) {
        const i64 row = first + (reverse ? n - 1 - t : t) * inner;
        const T* from = x + row;
        T* to = y + row;
        if (accumulate)
          for (i64 i = 0; i < columns; i++) to[i] = static_cast<T>(to[i] + (sums[i] += from[i]));
        else
          for (i64 i = 0; i < columns; i++) to[i] = static_cast<T>(sums[i] += from[i]);
      }
    }
  });
}

}  // namespace

#define DAG_INDEXING(T)                                                                                               \
  DAG_KERNEL(gather_##T)(const T* x, const i32* index, T* y, i64 rows, i64 n) { gather(x, index, y, rows, n); }       \
  DAG_KERNEL(gather_backward_##T)(const i32* index, const T* gradY, T* gradX, i64 rows, i64 n, i64 accumulate) {      \
    gatherBackward(index, gradY, gradX, rows, n, accumulate != 0);                                                    \
  }                                                                                                                   \
  DAG_KERNEL(embedding_##T)(const T* table, const i32* index, T* y, i64 rows, i64 n) {                                \
    embedding(table, index, y, rows, n);                                                                              \
  }                                                                                                                   \
  DAG_KERNEL(embedding_backward_##T)(const i32* index, const T* gradY, T* gradTable, i64 tableRows, i64 rows, i64 n,  \
                                     i64 accumulate) {                                                                \
    embeddingBackward(index, gradY, gradTable, tableRows, rows, n, accumulate != 0);                                  \
  }                                                                                                                   \
  DAG_KERNEL(cumsum_##T)(const T* x, T* y, i64 outer, i64 n, i64 inner, i64 reverse, i64 accumulate) {                \
    cumsum(x, y, outer, n, inner, reverse != 0, accumulate != 0);                                                     \
  }
DAG_INDEXING(f32)
DAG_INDEXING(f64)
