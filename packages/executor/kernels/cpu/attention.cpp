// Causal attention by blocks, after Dao et al., "FlashAttention" (2022) and "FlashAttention-2" (2023): probabilities are
// computed block by block from queries and keys and never written to memory. The backward pass recomputes them from the
// saved log-sum-exp of each row.
#include "math32.h"
#include "philox.h"
#include "runtime/pool.h"

namespace {

/** Number of queries, and of keys, per block. */
constexpr i64 BLOCK = 32;
constexpr i64 L = LANES<f32>;
/** Rows of a register tile. */
constexpr i64 ROWS = DAG_VECTOR_BYTES == 64 ? 8 : 4;
constexpr f32 MASKED = -__builtin_huge_valf();

/** Rows of numbers, `step` apart. */
struct Rows {
  const f32* data;
  i64 step;
};

/** Layout of A in memory: element (r, p) at r·step + p or, transposed, at r + p·step. */
enum class Lies { ROWS_ALONG, TRANSPOSED };

template <Lies A, i64 V>
inline __attribute__((always_inline)) void tile(Rows a, Rows b, i64 k, f32* c, i64 step, bool add) {
  const f32* rows[ROWS];
  for (i64 r = 0; r < ROWS; r++) rows[r] = a.data + (A == Lies::ROWS_ALONG ? r * a.step : r);
  Vec<f32> sum[ROWS][V] = {};
  for (i64 p = 0; p < k; p++) {
    Vec<f32> row[V];
#pragma GCC unroll 2
    for (i64 v = 0; v < V; v++) row[v] = load(b.data + p * b.step + v * L);
#pragma GCC unroll 8
    for (i64 r = 0; r < ROWS; r++)
#pragma GCC unroll 2
      for (i64 v = 0; v < V; v++) sum[r][v] += (A == Lies::ROWS_ALONG ? rows[r][p] : a.data[p * a.step + r]) * row[v];
  }
#pragma GCC unroll 8
  for (i64 r = 0; r < ROWS; r++)
#pragma GCC unroll 2
    for (i64 v = 0; v < V; v++) {
      f32* at = c + r * step + v * L;
      store(at, add ? load(at) + sum[r][v] : sum[r][v]);
    }
}

/** ROWS rows of c (+)= A·B, `columns` a multiple of L. */
template <Lies A>
inline void multiply(i64 columns, i64 k, Rows a, Rows b, f32* c, i64 step, bool add) {
  i64 j = 0;
  for (; j + 2 * L <= columns; j += 2 * L) tile<A, 2>(a, {b.data + j, b.step}, k, c + j, step, add);
  if (j < columns) tile<A, 1>(a, {b.data + j, b.step}, k, c + j, step, add);
}

i64 roundUp(i64 n, i64 to) { return (n + to - 1) / to * to; }

/** Sizes and settings common to all heads. */
struct Spec {
  i64 time, channels, heads, width;
  /** Width of a head, rounded up to whole vectors. */
  i64 wide;
  f32 scale;
  Dropout dropout;
};

/** A block of rows of one head, `wide` columns: in place if it fills whole vectors, else a zero-padded copy. */
Rows blockOf(const Spec& spec, const f32* from, i64 step, i64 count, f32* copy) {
  if (spec.width == spec.wide && count == BLOCK) return {from, step};
  std::memset(copy, 0, BLOCK * spec.wide * sizeof(f32));
  for (i64 r = 0; r < count; r++) std::memcpy(copy + r * spec.wide, from + r * step, spec.width * sizeof(f32));
  return {copy, spec.wide};
}

/** to (wide × BLOCK) = the transpose of a block. */
void transposeBlock(const Spec& spec, Rows from, f32* to) {
  for (i64 column = 0; column < spec.wide; column += L)
    for (i64 row = 0; row < BLOCK; row += L) {
      Vec<f32> square[L];
      for (i64 r = 0; r < L; r++) square[r] = load(from.data + (row + r) * from.step + column);
      transpose<f32>(square);
      for (i64 r = 0; r < L; r++) store(to + (column + r) * BLOCK + row, square[r]);
    }
}

/** Adds or writes the first `count` rows and `width` columns of a block to memory. */
void put(const Spec& spec, const f32* block, i64 count, f32* to, i64 step, bool add) {
  for (i64 r = 0; r < count; r++) {
    i64 i = 0;
    for (; i + L <= spec.width; i += L) {
      const Vec<f32> v = load(block + r * spec.wide + i);
      store(to + r * step + i, add ? load(to + r * step + i) + v : v);
    }
    for (; i < spec.width; i++)
      to[r * step + i] = add ? to[r * step + i] + block[r * spec.wide + i] : block[r * spec.wide + i];
  }
}

/** One block of queries against one block of keys. */
struct Pair {
  i64 query, queries, key, keys;
  bool diagonal() const { return query == key; }
  /** Number of keys of the block that query row r may attend to. */
  i64 seen(i64 r) const { return diagonal() && r + 1 < keys ? r + 1 : keys; }
  /** Number of keys that any of the rows r … r + ROWS − 1 may attend to. */
  i64 seenByTile(i64 r) const { return seen(r + ROWS - 1 < queries ? r + ROWS - 1 : queries - 1); }
};

/** scores (BLOCK × BLOCK) = scale·Q·Kᵀ with the causal mask; rows past the queries are undefined. */
void scoresOf(const Spec& spec, const Pair& pair, Rows q, const f32* keysTransposed, f32* scores) {
  for (i64 r = 0; r < pair.queries; r += ROWS) {
    const i64 columns = roundUp(pair.seenByTile(r), L);
    multiply<Lies::ROWS_ALONG>(columns, spec.wide, {q.data + r * q.step, q.step}, {keysTransposed, BLOCK},
                               scores + r * BLOCK, BLOCK, false);
    for (i64 s = r; s < r + ROWS && s < pair.queries; s++) {
      f32* row = scores + s * BLOCK;
      for (i64 i = 0; i < columns; i += L) store(row + i, load(row + i) * spec.scale);
      for (i64 i = pair.seen(s); i < BLOCK; i++) row[i] = MASKED;
    }
  }
}

/** factors (BLOCK × BLOCK): the dropout factor of each probability, 0 or the scale. */
void dropoutFactors(const Spec& spec, const Pair& pair, i64 head, f32* factors) {
  f32 row[BLOCK + RANDOM_BLOCK + 4];
  for (i64 r = 0; r < pair.queries; r++) {
    const i64 seen = pair.seen(r);
    const u64 first = static_cast<u64>((head * spec.time + pair.query + r) * spec.time + pair.key);
    spec.dropout.factors(first, seen, row);
    std::memcpy(factors + r * BLOCK, row, seen * sizeof(f32));
    for (i64 i = seen; i < BLOCK; i++) factors[r * BLOCK + i] = 0;
  }
}

/** a ⊙= b, `queries` rows. */
void scaleBy(const Pair& pair, f32* a, const f32* b) {
  for (i64 i = 0; i < pair.queries * BLOCK; i += L) store(a + i, load(a + i) * load(b + i));
}

/** c (+)= P·B, where P is (queries × keys); rows read only unmasked keys. */
void multiplySeen(const Spec& spec, const Pair& pair, const f32* p, Rows b, f32* c, bool add) {
  for (i64 r = 0; r < pair.queries; r += ROWS)
    multiply<Lies::ROWS_ALONG>(spec.wide, pair.seenByTile(r), {p + r * BLOCK, BLOCK}, b, c + r * spec.wide, spec.wide, add);
}

/** c (+)= Pᵀ·B: for each key only the queries that attend to it. */
void multiplyTransposed(const Spec& spec, const Pair& pair, const f32* p, Rows b, f32* c, bool add) {
  for (i64 r = 0; r < pair.keys; r += ROWS) {
    const i64 first = pair.diagonal() ? r : 0;
    const Rows from{b.data + first * b.step, b.step};
    multiply<Lies::TRANSPOSED>(spec.wide, pair.queries - first, {p + first * BLOCK + r, BLOCK}, from, c + r * spec.wide,
                               spec.wide, add);
  }
}

void forwardHead(const Spec& spec, i64 head, const f32* q, const f32* k, const f32* v, f32* y, f32* logSums) {
  const i64 step = 3 * spec.channels, area = BLOCK * spec.wide;
  Scratch<f32> memory(5 * area + 2 * BLOCK * BLOCK);
  if (!memory) return;
  f32 *copyQ = memory, *copyK = copyQ + area, *copyV = copyK + area, *keys = copyV + area, *out = keys + area;
  f32 *scores = out + area, *factors = scores + BLOCK * BLOCK;
  for (i64 query = 0; query < spec.time; query += BLOCK) {
    const i64 queries = query + BLOCK < spec.time ? BLOCK : spec.time - query;
    const Rows blockQ = blockOf(spec, q + query * step, step, queries, copyQ);
    f32 max[BLOCK], sum[BLOCK];
    for (i64 r = 0; r < BLOCK; r++) max[r] = MASKED, sum[r] = 0;
    for (i64 key = 0; key <= query; key += BLOCK) {
      const Pair pair{query, queries, key, key + BLOCK < spec.time ? BLOCK : spec.time - key};
      transposeBlock(spec, blockOf(spec, k + key * step, step, pair.keys, copyK), keys);
      scoresOf(spec, pair, blockQ, keys, scores);
      for (i64 r = 0; r < queries; r++) {
        f32* row = scores + r * BLOCK;
        Vec<f32> most = load(row);
        for (i64 i = L; i < BLOCK; i += L) most = larger(most, load(row + i));
        const f32 before = max[r], now = maxOf<f32>(most) > before ? maxOf<f32>(most) : before;
        Vec<f32> total = {};
        for (i64 i = 0; i < BLOCK; i += L) {
          const Vec<f32> e = exp32(load(row + i) - now);
          store(row + i, e);
          total += e;
        }
        max[r] = now;
        if (key > 0) {
          const f32 shrink = exp32(splat(before - now))[0];
          sum[r] *= shrink;
          for (i64 i = 0; i < spec.wide; i += L) store(out + r * spec.wide + i, load(out + r * spec.wide + i) * shrink);
        }
        sum[r] += sumOf<f32>(total);
      }
      if (spec.dropout.active()) {
        dropoutFactors(spec, pair, head, factors);
        scaleBy(pair, scores, factors);
      }
      multiplySeen(spec, pair, scores, blockOf(spec, v + key * step, step, pair.keys, copyV), out, key > 0);
    }
    for (i64 r = 0; r < queries; r++) {
      const f32 inverse = 1 / sum[r];
      for (i64 i = 0; i < spec.wide; i += L) store(out + r * spec.wide + i, load(out + r * spec.wide + i) * inverse);
    }
    put(spec, out, queries, y + query * spec.channels, spec.channels, false);
    f32 logs[BLOCK];
    for (i64 r = 0; r < BLOCK; r += L) store(logs + r, load(max + r) + log32(load(sum + r)));
    std::memcpy(logSums + query, logs, queries * sizeof(f32));
  }
}

struct Head {
  const f32 *q, *k, *v, *y, *logSums, *gradY;
  f32 *gradQ, *gradK, *gradV;
};

void backwardHead(const Spec& spec, i64 head, const Head& at, bool accumulate) {
  const i64 step = 3 * spec.channels, area = BLOCK * spec.wide;
  Scratch<f32> memory(8 * area + 3 * BLOCK * BLOCK);
  f32 *copyQ = memory, *copyK = copyQ + area, *copyV = copyK + area, *copyG = copyV + area;
  f32 *keys = copyG + area, *values = keys + area, *gradK = values + area, *gradV = gradK + area;
  f32 *p = gradV + area, *gradP = p + BLOCK * BLOCK, *factors = gradP + BLOCK * BLOCK;
  Scratch<f32> gradQ(area);
  if (!memory || !gradQ) return;
  for (i64 key = 0; key < spec.time; key += BLOCK) {
    const i64 keyCount = key + BLOCK < spec.time ? BLOCK : spec.time - key;
    const Rows blockK = blockOf(spec, at.k + key * step, step, keyCount, copyK);
    transposeBlock(spec, blockK, keys);
    transposeBlock(spec, blockOf(spec, at.v + key * step, step, keyCount, copyV), values);
    for (i64 query = key; query < spec.time; query += BLOCK) {
      const Pair pair{query, query + BLOCK < spec.time ? BLOCK : spec.time - query, key, keyCount};
      const Rows blockQ = blockOf(spec, at.q + query * step, step, pair.queries, copyQ);
      const f32* gradOut = at.gradY + query * spec.channels;
      const Rows blockG = blockOf(spec, gradOut, spec.channels, pair.queries, copyG);
      scoresOf(spec, pair, blockQ, keys, p);
      for (i64 r = 0; r < pair.queries; r++)
        for (i64 i = 0; i < BLOCK; i += L)
          store(p + r * BLOCK + i, exp32(load(p + r * BLOCK + i) - at.logSums[query + r]));
      for (i64 r = 0; r < pair.queries; r += ROWS)
        multiply<Lies::ROWS_ALONG>(roundUp(pair.seenByTile(r), L), spec.wide, {blockG.data + r * blockG.step, blockG.step},
                                   {values, BLOCK}, gradP + r * BLOCK, BLOCK, false);
      // The weights of the values: p after dropout, p itself without.
      f32* weights = p;
      if (spec.dropout.active()) {
        dropoutFactors(spec, pair, head, factors);
        scaleBy(pair, gradP, factors);
        scaleBy(pair, factors, p);
        weights = factors;
      }
      multiplyTransposed(spec, pair, weights, blockG, gradV, query > key);
      // d score = p ⊙ (d p − Σ p ⊙ d p), and Σ p ⊙ d p = Σ y ⊙ d y over a row.
      for (i64 r = 0; r < pair.queries; r++) {
        const f32* y = at.y + (query + r) * spec.channels;
        f32 dot = 0;
        {
          Vec<f32> sums = {};
          i64 i = 0;
          for (; i + L <= spec.width; i += L) sums += load(y + i) * load(gradOut + r * spec.channels + i);
          dot = sumOf<f32>(sums);
          for (; i < spec.width; i++) dot += y[i] * gradOut[r * spec.channels + i];
        }
        const i64 columns = roundUp(pair.seen(r), L);
        for (i64 i = 0; i < BLOCK; i += L) {
          f32* g = gradP + r * BLOCK + i;
          const Vec<f32> score = load(p + r * BLOCK + i) * (load(g) - dot) * spec.scale;
          // d p was not computed for keys that no row of the tile attends to.
          store(g, i < columns ? score : Vec<f32>{});
        }
      }
      multiplyTransposed(spec, pair, gradP, blockQ, gradK, query > key);
      multiplySeen(spec, pair, gradP, blockK, gradQ, false);
      put(spec, gradQ, pair.queries, at.gradQ + query * step, step, accumulate || key > 0);
    }
    put(spec, gradK, keyCount, at.gradK + key * step, step, accumulate);
    put(spec, gradV, keyCount, at.gradV + key * step, step, accumulate);
  }
}

Spec specOf(i64 time, i64 channels, i64 heads, f64 p, f64 low, f64 high) {
  const i64 width = channels / heads;
  const f64 scale = 1 / __builtin_sqrt(static_cast<f64>(width));
  return {time, channels, heads, width, roundUp(width, L), static_cast<f32>(scale), Dropout(p, low, high)};
}

/** Number of multiplications from which another thread pays off. */
constexpr i64 WORTH_HEADS = 1 << 20;

/** Calls body(head, row, column) for each head of each sequence; (row, column) is the position of its first query. */
template <typename Body>
void forHeads(const Spec& spec, i64 batch, const Body& body) {
  const i64 grain = 1 + WORTH_HEADS / (spec.time * spec.time * spec.wide + 1);
  parallelRanges(batch * spec.heads, grain, [&](i64 begin, i64 end) {
    for (i64 head = begin; head < end; head++)
      body(head, head / spec.heads * spec.time, head % spec.heads * spec.width);
  });
}

}  // namespace

DAG_SCRATCH_KERNEL(attention_f32)(i64 batch, i64 time, i64 channels, i64 heads, f64 p, f64 seedLow, f64 seedHigh, const f32* qkv,
                          f32* y, f32* logSums) {
  const Spec spec = specOf(time, channels, heads, p, seedLow, seedHigh);
  return lacksMemory([&] {
    forHeads(spec, batch, [&](i64 head, i64 row, i64 column) {
      const f32* q = qkv + row * 3 * channels + column;
      forwardHead(spec, head, q, q + channels, q + 2 * channels, y + row * channels + column, logSums + head * time);
    });
  });
}

DAG_SCRATCH_KERNEL(attention_backward_f32)(i64 batch, i64 time, i64 channels, i64 heads, f64 p, f64 seedLow, f64 seedHigh,
                                   const f32* qkv, const f32* y, const f32* logSums, const f32* gradY, f32* gradQkv,
                                   i64 accumulate) {
  const Spec spec = specOf(time, channels, heads, p, seedLow, seedHigh);
  return lacksMemory([&] {
    forHeads(spec, batch, [&](i64 head, i64 row, i64 column) {
      const i64 wide = row * 3 * channels + column, narrow = row * channels + column;
      const Head at{qkv + wide,          qkv + wide + channels,     qkv + wide + 2 * channels,
                    y + narrow,          logSums + head * time,     gradY + narrow,
                    gradQkv + wide,      gradQkv + wide + channels, gradQkv + wide + 2 * channels};
      backwardHead(spec, head, at, accumulate != 0);
    });
  });
}
