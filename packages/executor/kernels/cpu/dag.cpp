// Executes graphs, forward and backward, one vector of graphs at a time. The rows of a block are transposed into lanes; graphs
// with hard plans take the path of dag_hard.h, the others that of dag_step.h. The path of a graph never depends on the graphs
// beside it, so its bits do not either.
#include <new>

#include "dag_general.h"

#include "../dag_hard.h"

namespace {

/** Graphs that one thread takes at a time: a multiple of ROWS. */
constexpr i64 GRAIN = 512;
/** Number of partial sums of a shared plan's gradients, by row modulo ROWS: the same for all variants, so that sums have the same bits. */
constexpr i64 ROWS = 8;

template <typename T>
constexpr f64 MOST = sizeof(T) == sizeof(f32) ? __FLT_MAX__ : LARGEST;

template <typename T>
struct Fields {
  T *V_mag, *V_sign, *O, *G;
};

/** `accumulate`: bits 0 … 3 say whether the gradients of V_mag, V_sign, O, G are added. Null: not given, or not wanted. */
template <typename T>
struct Graphs {
  i64 depth, size;
  bool shared;
  StepRules rules;
  Fields<const T> fields;
  const f64* upstream;
  f64* values;
  Fields<T> gradients;
  i64 accumulate;

  i64 coefficients() const { return 2 * depth * depth; }
  i64 plan() const { return coefficients() + depth; }
};

/** A block of graphs, one per lane: their fields, values and gradients. */
template <bool GRADIENTS, int DEPTH, typename T>
class Block {
  using Hard = HardGraphs<V, Vec<u64>, DEPTH, false>;
  static constexpr i64 HARD = sizeof(Hard) / sizeof(V);

 public:
  Block(const Graphs<T>& graphs, Arena& arena)
      : graphs(graphs),
        wanted{graphs.gradients.V_sign != nullptr, graphs.gradients.O != nullptr, graphs.gradients.G != nullptr},
        general(graphs.depth, graphs.rules, GRADIENTS, arena),
        hard(*new (arena.take(HARD)) Hard(static_cast<int>(graphs.depth), nullptr)) {
    if (depth() > Hard::MAX_DEPTH) hard.redo = inverse(hard.redo);
    if (graphs.shared) readPlan(0, L, 0);
    if (graphs.shared) setHardPlan();
    mustBeGeneral = hard.redo;
  }

  static i64 vectors(i64 depth) { return GeneralBlock::vectors(depth) + padded(HARD); }

  /** Computes the values of rows `row` … `row + rows − 1`; with GRADIENTS also the wanted gradients, but for those of a shared plan. */
  void run(i64 row, i64 rows) {
    inUse = differ(bits<V>(firstLanes<f64>(rows)), V{});
    toLanes(graphs.fields.V_mag + row * width(), width(), depth(), rows, general.magnitude);
    toLanes(graphs.fields.V_sign + row * width(), width(), depth(), rows, general.sign);
    if (!graphs.shared) {
      prefetch(graphs.fields.O, row, coefficients());
      readPlan(row, rows, 1);
    }
    const V upstream = graphs.upstream && GRADIENTS ? loadPart(graphs.upstream + row, rows) : splat(1.0);
    V values{};
    hard.redo = inverse(inUse) | mustBeGeneral;
    if (anyOf(inverse(hard.redo))) values = runHard(upstream);
    const Lanes isGeneral = inUse & hard.redo;
    isBounded = true;
    if (anyOf(isGeneral)) values = chosen(isGeneral, runGeneral(upstream, isGeneral), values);
    if (graphs.values) storePart(graphs.values + row, values, rows);
    if (!GRADIENTS) return;
    if (anyOf(inverse(hard.redo))) takeHardGradients();
    const auto write = [&](T* to, i64 stride, i64 bit, const V* columns) {
      if (to) put(to, row, rows, stride, graphs.accumulate >> bit & 1, columns);
    };
    write(graphs.gradients.V_mag, width(), 0, general.byNode.magnitude);
    write(graphs.gradients.V_sign, width(), 1, general.byNode.sign);
    if (graphs.shared) return;
    write(graphs.gradients.O, coefficients(), 2, general.outO);
    write(graphs.gradients.G, depth(), 3, general.outG);
  }

  /** Adds the gradients of a shared plan by lane to `sums`. */
  void addPlan(f64* sums) const {
    for (i64 c = 0; c < graphs.plan(); c++) store(sums + c * ROWS, load(sums + c * ROWS) + only(inUse, general.outO[c]));
  }

 private:
  const Graphs<T>& graphs;
  const Wanted wanted;
  GeneralBlock general;
  Hard& hard;
  /** Lanes that have graphs; all lanes if the shared plan is not hard, or the graphs are too deep for HardGraphs. */
  Lanes inUse{}, mustBeGeneral{};
  /** Whether all gradients are finite numbers of T. */
  bool isBounded = true;

  i64 depth() const { return DEPTH ? DEPTH : graphs.depth; }
  i64 width() const { return 2 * depth(); }
  i64 coefficients() const { return depth() * width(); }

  DAG_INLINE void readPlan(i64 row, i64 rows, i64 step) {
    toLanes(graphs.fields.O + row * coefficients(), step * coefficients(), coefficients(), rows, general.O);
    toLanes(graphs.fields.G + row * depth(), step * depth(), depth(), rows, general.G);
  }

  void setHardPlan() {
    for (i64 i = 0; i < depth() && anyOf(inverse(hard.redo)); i++)
      hard.setStep(i, general.G[i], [O = general.O + i * width()](int j) { return O[j]; });
  }

  /** Runs the lanes that are hard; adds those that are not to `hard.redo`. */
  V runHard(V upstream) {
    for (i64 j = 0; j < depth(); j++) hard.setInitial(j, general.magnitude[j], general.sign[j]);
    if (!graphs.shared) setHardPlan();
    if (!anyOf(inverse(hard.redo))) return V{};
    const V values = hard.template forward<GRADIENTS>(graphs.rules.limit);
    if (GRADIENTS) hard.backward(upstream, wanted, MOST<T>);
    if (GRADIENTS && wanted.O) hard.takeLogs();
    return values;
  }

  __attribute__((noinline)) V runGeneral(V upstream, Lanes lanes) {
    const V values = general.template forward<GRADIENTS>();
    isBounded = !GRADIENTS || general.backward(upstream, lanes, MOST<T>);
    return values;
  }

  /** Prefetches the lines of the block after the next: tiles read or write a part of many lines at a time. */
  DAG_INLINE void prefetch(const T* field, i64 row, i64 stride) const {
    if (row + 3 * L > graphs.size) return;
    for (i64 i = 2 * L * stride; i < 3 * L * stride; i += 64 / sizeof(T)) __builtin_prefetch(field + row * stride + i);
  }

  /** Writes or adds gradients to rows. */
  DAG_INLINE void put(T* field, i64 row, i64 rows, i64 stride, bool accumulate, const V* columns) const {
    T* const to = field + row * stride;
    prefetch(field, row, stride);
    if (rows == L && !accumulate && isBounded) return toRows(columns, stride, to);
    for (i64 l = 0; l < rows; l++)
      for (i64 c = 0; c < stride; c++) {
        T& x = to[l * stride + c];
        x = static_cast<T>(held<true>((accumulate ? f64{x} : 0) + columns[c][l], MOST<T>));
      }
  }

  /** Puts the gradients of hard lanes beside those of the other lanes. */
  void takeHardGradients() {
    const auto take = [&](V& to, V gradient) { to = chosen(hard.redo, to, gradient); };
    for (i64 j = 0; j < depth(); j++) {
      take(general.byNode.magnitude[j], hard.toMagnitude[j]);
      take(general.byNode.sign[j], hard.toSign[j]);
    }
    for (i64 i = 0; i < depth(); i++) {
      take(general.outG[i], hard.outG[i]);
      if (!wanted.O) continue;
      for (i64 j = 0; j < depth() + i; j++) take(general.outO[i * width() + j], hard.byCoefficient(i, j));
    }
  }
};

/** `sums` (null: none) receives for each piece ROWS partial sums of the gradients of a shared plan over its rows. */
template <bool GRADIENTS, int DEPTH, typename T>
void runBlocks(const Graphs<T>& graphs, f64* sums) {
  using B = Block<GRADIENTS, DEPTH, T>;
  parallelRanges(graphs.size, GRAIN, [&](i64 begin, i64 end) {
    const Scratch<V> memory(B::vectors(graphs.depth));
    if (!memory) return;
    Arena arena{memory};
    B block(graphs, arena);
    for (i64 row = begin; row < end; row += L) {
      block.run(row, row + L <= end ? L : end - row);
      if (sums) block.addPlan(sums + row / GRAIN * graphs.plan() * ROWS + row % ROWS);
    }
  });
}

/** With loops of constant length where this makes them faster. */
template <bool GRADIENTS, typename T>
void run(const Graphs<T>& graphs, f64* sums = nullptr) {
  if (graphs.depth == 4) runBlocks<GRADIENTS, 4>(graphs, sums);
  else runBlocks<GRADIENTS, 0>(graphs, sums);
}

/** The gradients of a shared plan. Rows 0, ROWS, 2·ROWS, … of a piece form one partial sum, rows 1, ROWS + 1, … the next; then all are added. */
template <typename T>
void runShared(const Graphs<T>& graphs) {
  const i64 count = graphs.plan(), pieces = (graphs.size + GRAIN - 1) / GRAIN;
  const Scratch<f64> sums(pieces * count * ROWS);
  if (!sums) return;
  std::memset(sums, 0, pieces * count * ROWS * sizeof(f64));
  run<true>(graphs, sums);
  for (i64 i = 0; i < count; i++) {
    f64 total = 0;
    for (i64 piece = 0; piece < pieces; piece++)
      for (i64 r = 0; r < ROWS; r++) total = held<true>(total + sums[(piece * count + i) * ROWS + r]);
    const bool isGate = i >= graphs.coefficients(), adds = graphs.accumulate >> (isGate ? 3 : 2) & 1;
    T* const to = isGate ? graphs.gradients.G : graphs.gradients.O;
    if (!to) continue;
    T& x = to[isGate ? i - graphs.coefficients() : i];
    x = static_cast<T>(held<true>((adds ? f64{x} : 0) + total, MOST<T>));
  }
}

}  // namespace

// `limit` is e^maxLog; `inference`: see StepRules.
#define DAG_KERNELS(T)                                                                                               \
  DAG_SCRATCH_KERNEL(dag_##T)                                                                                        \
  (const T* V_mag, const T* V_sign, const T* O, const T* G, f64* values, i64 depth, i64 size, i64 shared,            \
   i64 inference, f64 limit) {                                                                                       \
    const Fields<const T> fields{V_mag, V_sign, O, G};                                                               \
    const Graphs<T> graphs{depth, size, shared != 0, {limit, inference != 0}, fields, nullptr, values, {}, 0};       \
    return lacksMemory([&] { run<false>(graphs); });                                                                 \
  }                                                                                                                  \
  DAG_SCRATCH_KERNEL(dag_backward_##T)                                                                               \
  (const T* V_mag, const T* V_sign, const T* O, const T* G, const f64* upstream, f64* values, T* gradV_mag,          \
   T* gradV_sign, T* gradO, T* gradG, i64 accumulate, i64 depth, i64 size, i64 shared, i64 inference, f64 limit) {   \
    const Fields<const T> fields{V_mag, V_sign, O, G};                                                               \
    const Fields<T> gradients{gradV_mag, gradV_sign, gradO, gradG};                                                  \
    const Graphs<T> graphs{depth, size, shared != 0, {limit, inference != 0}, fields, upstream, values, gradients, accumulate}; \
    return lacksMemory([&] {                                                                                         \
      if (shared && (gradO || gradG)) runShared(graphs);                                                             \
      else run<true>(graphs);                                                                                        \
    });                                                                                                              \
  }
DAG_KERNELS(f32)
DAG_KERNELS(f64)
