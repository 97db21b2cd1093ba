// Executes graphs, forward and backward, one vector of graphs at a time. The rows of a block are transposed into lanes; graphs
// with hard plans take the path of dag_hard.h, the others that of dag_step.h. The path of a graph never depends on the graphs
// beside it, so its bits do not either.
#include <new>
#include <type_traits>

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

struct Spec {
  i64 depth, size;
  bool shared;
  StepRules rules;
};

/** Reads rows of a field into lanes. If a block is incomplete, its remaining lanes get the first row again. */
template <typename T>
class Reader {
 public:
  const T* field;

  Reader(const T* field, i64 rows, i64 stride, T* buffer) : field(field), rows(rows), stride(stride), buffer(buffer) {}

  void read(i64 row, i64 columns, V* to) const {
    // Reads whole tiles, also beyond the last row.
    if ((row + L) * stride + TILE - 1 <= rows * stride || (stride % TILE == 0 && row + L <= rows))
      return toLanes(field + row * stride, stride, columns, to);
    // Only the last row: with stride 0 it fills all lanes.
    if (stride % TILE == 0 && row + 1 == rows) return toLanes(field + row * stride, 0, columns, to);
    for (i64 l = 0; l < L; l++)
      std::memcpy(buffer + l * stride, field + (row + l < rows ? row + l : row) * stride, stride * sizeof(T));
    toLanes(buffer, stride, columns, to);
  }

 private:
  i64 rows, stride;
  T* buffer;
};

/** One bit per coefficient: which are nonzero, which are negative. `hard`: all are -1, 0 or 1. */
struct CoefficientBits {
  u64 nonzero, negative;
  bool hard;
};

/** The bits of the first n coefficients, at most a vector. */
template <typename T>
inline CoefficientBits coefficientBits(const T* p, i64 n) {
  using U = std::conditional_t<sizeof(T) == sizeof(f32), u32, u64>;
  const Vec<U> word = bits<Vec<U>>(loadUpTo(p, n));
  // The shift drops the sign.
  constexpr U ONE = sizeof(T) == sizeof(f32) ? U{0x7f000000} : static_cast<U>(0x7fe0000000000000);
  const Vec<U> size = word + word;
  const u64 nonzero = signBits<U>(size != 0), ones = signBits<U>(size == ONE);
  return {nonzero, signBits<U>(word), nonzero == ones};
}

/** A block of graphs, one per lane: their fields, values and gradients. */
template <int DEPTH, bool SHARED, typename T>
class Block {
  using Hard = HardGraphs<V, Vec<u64>, DEPTH, false>;

 public:
  Block(const Spec& spec, const Fields<const T>& fields, Arena& arena)
      : runtimeDepth(spec.depth),
        limit(spec.rules.limit),
        general(spec.depth, spec.rules, arena),
        hard(*new (arena.take(sizeof(Hard) / sizeof(V))) Hard(static_cast<int>(spec.depth), nullptr)),
        words(reinterpret_cast<u64*>(arena.take(2 * wordsOf(depth())))),
        made(reinterpret_cast<f64*>(arena.take(depth() * width() + TILE))),
        V_mag(fields.V_mag, spec.size, width(), reinterpret_cast<T*>(made)),
        V_sign(fields.V_sign, spec.size, width(), reinterpret_cast<T*>(made)),
        O(fields.O, spec.size, plan(), reinterpret_cast<T*>(made)),
        G(fields.G, spec.size, depth(), reinterpret_cast<T*>(made)),
        size(spec.size) {
    for (V* const columns : {hard.toMagnitude, hard.toSign})
      for (i64 j = 0; j < Hard::NODES; j++) columns[j] = V{};
    if (!SHARED) return;
    for (i64 i = 0; i < plan(); i++) general.O[i] = splat(static_cast<f64>(fields.O[i]));
    for (i64 i = 0; i < depth(); i++) general.G[i] = splat(static_cast<f64>(fields.G[i]));
    hasHardPlans = depth() <= Hard::MAX_DEPTH;
    for (i64 lane = 0; lane < L && hasHardPlans; lane++) hasHardPlans = setCoefficients(lane, fields.O);
  }

  static i64 vectors(i64 depth) {
    return GeneralBlock::vectors(depth) + paddedToTiles(sizeof(Hard) / sizeof(V)) + paddedToTiles(2 * wordsOf(depth)) +
           paddedToTiles(2 * depth * depth + TILE);
  }

  void read(i64 first, i64 count) {
    row = first;
    rows = count;
    inUse = differ(bits<V>(firstLanes<f64>(rows)), V{});
    V_mag.read(row, depth(), general.magnitude);
    V_sign.read(row, depth(), general.sign);
    if (!SHARED) G.read(row, depth(), general.G);
    isHard = depth() <= Hard::MAX_DEPTH && (!SHARED || hasHardPlans) ? hardAmong(inUse) : Lanes{};
    if (SHARED || !anyOf(isHard)) return;
    u64 hards = 0;
    for (i64 w = 0; w < wordsOf(depth()); w++) used[w] = 0;
    for (i64 lane = 0; lane < rows; lane++) hards |= u64{setCoefficients(lane, O.field + (row + lane) * plan())} << lane;
    isHard = isHard & lanesOfWord(hards);
  }

  /** Computes the values; with GRADIENTS also the wanted gradients. */
  template <bool GRADIENTS>
  V run(V upstream, const Wanted& wanted) {
    V values = V{};
    if (anyOf(isHard)) {
      prepareHard();
      values = hard.template forward<GRADIENTS>(limit);
      if (GRADIENTS) hard.backward(upstream, wanted, MOST<T>);
      if (GRADIENTS && wanted.O) hard.takeLogs();
      isHard = without(isHard, hard.redo);
    }
    isGeneral = without(inUse, isHard);
    return anyOf(isGeneral) ? chosen(isGeneral, runGeneral<GRADIENTS>(upstream), values) : values;
  }

  /** Writes (or adds) the gradient of V_mag, V_sign, O or G. */
  void putV_mag(T* gradient, bool accumulate) {
    put(gradient, width(), accumulate, general.byNode.magnitude, general.bounded,
        [&](auto* to) { writeNodes(hard.toMagnitude, to); });
  }
  void putV_sign(T* gradient, bool accumulate) {
    put(gradient, width(), accumulate, general.byNode.sign, general.bounded, [&](auto* to) { writeNodes(hard.toSign, to); });
  }
  void putO(T* gradient, bool accumulate) {
    put(gradient, plan(), accumulate, general.outO, general.bounded, [&](auto* to) { writeO(to); });
  }
  void putG(T* gradient, bool accumulate) {
    put(gradient, depth(), accumulate, general.outG, false,
        [&](auto* to) { toRows<std::remove_pointer_t<decltype(to)>, false>(hard.outG, depth(), to); });
  }

  /** Gradients by lane, 0 in lanes without a graph. */
  V byCoefficient(i64 i, i64 j) const {
    return only(inUse, byPath([&] { return hard.byCoefficient(i, j); }, general.outO[i * width() + j]));
  }
  V byGate(i64 i) const { return only(inUse, byPath([&] { return hard.outG[i]; }, general.outG[i])); }

 private:
  const i64 runtimeDepth;
  const f64 limit;
  GeneralBlock general;
  Hard& hard;
  /** For each lane the bits of the coefficients that are 1, then of those that are -1. `used`: the bits of any lane. */
  u64* const words;
  u64 used[Hard::MAX_DEPTH]{};
  /** Room for the rows of any field. */
  f64* const made;
  const Reader<T> V_mag, V_sign, O, G;
  const i64 size;
  i64 row = 0, rows = 0;
  /** Lanes that have graphs; of these, the lanes of each path. */
  Lanes inUse{}, isHard{}, isGeneral{};
  /** Whether the coefficients of a shared plan are hard. */
  bool hasHardPlans = false;

  i64 depth() const { return DEPTH ? DEPTH : runtimeDepth; }
  i64 width() const { return 2 * depth(); }
  i64 plan() const { return depth() * width(); }

  /** Bits per step: a power of two, so that no step spans two words. */
  static i64 bitsOfStep(i64 depth) {
    i64 n = 2;
    while (n < 2 * depth) n *= 2;
    return n;
  }
  static i64 wordsOf(i64 depth) { return (depth * bitsOfStep(depth) + 63) / 64; }

  /** Sets the coefficients of graph `lane`; false if they are not hard. */
  bool setCoefficients(i64 lane, const T* coefficients) {
    const i64 step = bitsOfStep(depth());
    u64* const ups = words + lane;
    u64* const downs = ups + wordsOf(depth()) * L;
    for (i64 w = 0; w < wordsOf(depth()); w++) ups[w * L] = downs[w * L] = 0;
    // Steps that fill their bits have the same layout in the words as in memory, so the whole plan is one run.
    const i64 run = step == width() ? plan() : width();
    bool isHard = true;
    for (i64 begin = 0, bit = 0; begin < plan(); begin += run, bit += step)
      for (i64 c = 0; c < run; c += LANES<T>) {
        const CoefficientBits b = coefficientBits(coefficients + begin + c, run - c < LANES<T> ? run - c : LANES<T>);
        const i64 w = (bit + c) / 64, shift = (bit + c) % 64;
        ups[w * L] |= (b.nonzero & ~b.negative) << shift;
        downs[w * L] |= (b.nonzero & b.negative) << shift;
        used[w] |= b.nonzero << shift;
        isHard &= b.hard;
      }
    return isHard;
  }

  /** The subset of `lanes` whose gates and nodes are hard. */
  Lanes hardAmong(Lanes lanes) const {
    const V one = splat(1.0);
    for (i64 i = 0; i < depth(); i++) lanes = lanes & (equal(general.G[i], V{}) | equal(general.G[i], one));
    for (i64 j = 0; j < depth(); j++) {
      lanes = without(lanes, overlapping(bits<Vec<u64>>(general.magnitude[j]), splat(u64{1} << 63)));
      lanes = lanes & equal(magnitudeOf(general.sign[j]), one);
    }
    return lanes;
  }

  void prepareHard() {
    hard.redo = Lanes{};
    for (i64 j = 0; j < depth(); j++) hard.value[j] = general.sign[j] * general.magnitude[j];
    const Vec<u64>* const ups = reinterpret_cast<const Vec<u64>*>(words);
    for (i64 i = 0; i < depth(); i++) {
      const i64 bit = i * bitsOfStep(depth()), w = bit / 64;
      const u64 read = (u64{1} << (depth() + i)) - 1;
      hard.up[i] = ups[w] >> bit % 64 & read;
      hard.down[i] = ups[wordsOf(depth()) + w] >> bit % 64 & read;
      hard.any[i] = used[w] >> bit % 64 & read;
      hard.isLinear[i] = equal(general.G[i], splat(1.0));
    }
  }

  template <bool GRADIENTS>
  __attribute__((noinline)) V runGeneral(V upstream) {
    if (!SHARED) O.read(row, plan(), general.O);
    const V values = general.template forward<GRADIENTS>();
    if (GRADIENTS) general.backward(upstream, isGeneral);
    return values;
  }

  template <typename HardPath>
  V byPath(const HardPath& hardPath, V generalPath) const {
    if (!anyOf(isGeneral)) return hardPath();
    return anyOf(isHard) ? chosen(isGeneral, generalPath, hardPath()) : generalPath;
  }

  /** Writes rows: `columns` for each initial node, and 0 for the others. */
  template <typename To>
  void writeNodes(const V* columns, To* out) const {
    if (depth() % TILE != 0) return toRows<To, false>(columns, width(), out);
    for (i64 c = 0; c < depth(); c += TILE) tileToRows<To, false>(columns + c, out + c, width());
    for (i64 lane = 0; lane < L; lane++) std::memset(out + lane * width() + depth(), 0, depth() * sizeof(To));
  }

  /** Writes the gradients with respect to the coefficients as rows. */
  template <typename To>
  void writeO(To* out) const {
    constexpr i64 STRIDE = (Hard::NODES + TILE - 1) / TILE * TILE;
    f64 values[L * STRIDE], logs[L * STRIDE];
    for (i64 c = 0; c < width(); c += TILE) {
      tileToRows<f64, false>(hard.value + c, values + c, STRIDE);
      tileToRows<f64, false>(hard.log + c, logs + c, STRIDE);
    }
    const f64* const scales = reinterpret_cast<const f64*>(hard.scale);
    for (i64 i = 0; i < depth(); i++)
      for (i64 c = 0; c < width(); c += L) {
        const Lanes read = differ(bits<V>(firstLanes<f64>(depth() + i - c)), V{});
        for (i64 lane = 0; lane < L; lane++) {
          const f64* from = (contains(hard.isLinear[i], lane) ? values : logs) + lane * STRIDE + c;
          // 0 + x: a gradient that is zero is never −0.
          const auto x = narrowed<To, false>(multipliedWhere(read, splat(scales[i * L + lane]), load(from)));
          To* to = out + (lane * depth() + i) * width() + c;
          if (width() - c >= L) std::memcpy(to, &x, sizeof x);
          else for (i64 l = 0; l < width() - c; l++) to[l] = x[l];
        }
      }
  }

  /** `columns`: results of the general path; `bounded`: they fit into T. writeHard(rows) writes the results of the hard path. */
  template <typename WriteHard>
  DAG_INLINE void put(T* field, i64 stride, bool accumulate, const V* columns, bool bounded,
                      const WriteHard& writeHard) {
    T* const gradient = field + row * stride;
    // Prefetch the lines that are written two blocks later: each line is written by several instructions.
    if (row + 3 * L <= size)
      for (const T* line = gradient + 2 * L * stride; line < gradient + 3 * L * stride; line += 64 / sizeof(T))
        __builtin_prefetch(line, 1);
    if (!accumulate && rows == L) {
      if (!anyOf(isGeneral)) return writeHard(gradient);
      if (!anyOf(isHard) && bounded) return toRows<T, false>(columns, stride, gradient);
      if (!anyOf(isHard)) return toRows<T, true>(columns, stride, gradient);
    }
    putPart(gradient, stride, accumulate, columns, writeHard);
  }

  template <typename WriteHard>
  __attribute__((noinline)) void putPart(T* gradient, i64 stride, bool accumulate, const V* columns,
                                         const WriteHard& writeHard) {
    if (anyOf(isHard)) writeHard(made);
    else toRows<f64, false>(columns, stride, made);
    for (i64 lane = 0; lane < rows; lane++) {
      const bool fromColumns = anyOf(isHard) && contains(isGeneral, lane);
      for (i64 c = 0; c < stride; c++) {
        const i64 at = lane * stride + c;
        const f64 x = fromColumns ? columns[c][lane] : made[at];
        gradient[at] = static_cast<T>(held<true>(accumulate ? gradient[at] + x : x, MOST<T>));
      }
    }
  }
};

/** Calls body(block, row, rows) for each block after reading its inputs; pieces of blocks run in parallel. */
template <bool GRADIENTS, int DEPTH, bool SHARED, typename T, typename Body>
void forBlocks(const Spec& spec, const Fields<const T>& fields, const Body& body) {
  using B = Block<DEPTH, SHARED, T>;
  parallelRanges(spec.size, GRAIN, [&](i64 begin, i64 end) {
    const Scratch<V> memory(B::vectors(spec.depth));
    if (!memory) return;
    Arena arena{memory};
    B block(spec, fields, arena);
    for (i64 row = begin; row < end; row += L) {
      const i64 rows = row + L <= end ? L : end - row;
      block.read(row, rows);
      body(block, row, rows);
    }
  });
}

/** Calls body(depth, shared plan?), with compile-time constants where these make the loops over nodes faster. */
template <typename Body>
void specialized(const Spec& spec, const Body& body) {
  using std::integral_constant;
  if (spec.shared) return body(integral_constant<int, 0>{}, std::true_type{});
  if (spec.depth == 4) return body(integral_constant<int, 4>{}, std::false_type{});
  body(integral_constant<int, 0>{}, std::false_type{});
}

template <typename T>
void dag(const Spec& spec, const Fields<const T>& fields, f64* values) {
  specialized(spec, [&](auto depth, auto shared) {
    forBlocks<false, depth(), shared()>(spec, fields, [&](auto& block, i64 row, i64 rows) {
      storePart(values + row, block.template run<false>(V{}, {}), rows);
    });
  });
}

/** `sums` (null: none) receives for each piece ROWS partial sums of outO and outG over its rows; see sharedBackward. */
template <typename T>
void dagBackward(const Spec& spec, const Fields<const T>& fields, const f64* upstream, f64* values,
                 const Fields<T>& gradients, i64 accumulate, f64* sums) {
  const i64 depth = spec.depth, width = 2 * depth, plan = depth * width;
  const Wanted wanted{gradients.V_sign != nullptr, gradients.O != nullptr, gradients.G != nullptr};
  specialized(spec, [&](auto DEPTH, auto SHARED) {
    forBlocks<true, DEPTH(), SHARED()>(spec, fields, [&](auto& block, i64 row, i64 rows) {
      const V made = block.template run<true>(upstream ? loadPart(upstream + row, rows) : splat(1.0), wanted);
      if (values) storePart(values + row, made, rows);
      if (gradients.V_mag) block.putV_mag(gradients.V_mag, accumulate & 1);
      if (gradients.V_sign) block.putV_sign(gradients.V_sign, accumulate & 2);
      if constexpr (SHARED()) {
        if (!sums) return;
        f64* const sum = sums + row / GRAIN * (plan + depth) * ROWS + row % ROWS;
        const auto add = [&](V x, i64 at) { store(sum + at * ROWS, load(sum + at * ROWS) + x); };
        for (i64 i = 0; i < depth; i++) {
          for (i64 j = 0; wanted.O && j < depth + i; j++) add(block.byCoefficient(i, j), i * width + j);
          if (wanted.G) add(block.byGate(i), plan + i);
        }
      } else {
        if (gradients.O) block.putO(gradients.O, accumulate & 4);
        if (gradients.G) block.putG(gradients.G, accumulate & 8);
      }
    });
  });
}

/** The gradients of a shared plan. Rows 0, ROWS, 2·ROWS, … of a piece form one partial sum, rows 1, ROWS + 1, … the next; then all are added. */
template <typename T>
void sharedBackward(const Spec& spec, const Fields<const T>& fields, const f64* upstream, f64* values,
                    const Fields<T>& gradients, i64 accumulate) {
  const i64 plan = 2 * spec.depth * spec.depth, count = plan + spec.depth;
  const i64 pieces = (spec.size + GRAIN - 1) / GRAIN;
  const Scratch<f64> sums(pieces * count * ROWS);
  if (!sums) return;
  std::memset(sums, 0, pieces * count * ROWS * sizeof(f64));
  dagBackward(spec, fields, upstream, values, gradients, accumulate, sums);
  for (i64 i = 0; i < count; i++) {
    f64 total = 0;
    for (i64 piece = 0; piece < pieces; piece++)
      for (i64 r = 0; r < ROWS; r++) total = held<true>(total + sums[(piece * count + i) * ROWS + r]);
    T* field = i < plan ? gradients.O : gradients.G;
    if (!field) continue;
    T* to = field + (i < plan ? i : i - plan);
    const bool adds = accumulate >> (i < plan ? 2 : 3) & 1;
    *to = static_cast<T>(held<true>((adds ? f64{*to} : 0) + total, MOST<T>));
  }
}

}  // namespace

// `accumulate`: bits 0 … 3 say whether the gradients of V_mag, V_sign, O, G are added. `limit` is e^maxLog; `inference`: see StepRules.
#define DAG_KERNELS(T)                                                                                               \
  DAG_SCRATCH_KERNEL(dag_##T)                                                                                        \
  (const T* V_mag, const T* V_sign, const T* O, const T* G, f64* values, i64 depth, i64 size, i64 shared,            \
   i64 inference, f64 limit) {                                                                                       \
    const Spec spec{depth, size, shared != 0, {limit, inference != 0}};                                              \
    return lacksMemory([&] { dag<T>(spec, {V_mag, V_sign, O, G}, values); });                                        \
  }                                                                                                                  \
  DAG_SCRATCH_KERNEL(dag_backward_##T)                                                                               \
  (const T* V_mag, const T* V_sign, const T* O, const T* G, const f64* upstream, f64* values, T* gradV_mag,          \
   T* gradV_sign, T* gradO, T* gradG, i64 accumulate, i64 depth, i64 size, i64 shared, i64 inference, f64 limit) {   \
    const Spec spec{depth, size, shared != 0, {limit, inference != 0}};                                              \
    const Fields<const T> fields{V_mag, V_sign, O, G};                                                               \
    const Fields<T> gradients{gradV_mag, gradV_sign, gradO, gradG};                                                  \
    return lacksMemory([&] {                                                                                         \
      if (shared && (gradO || gradG)) sharedBackward(spec, fields, upstream, values, gradients, accumulate);         \
      else dagBackward(spec, fields, upstream, values, gradients, accumulate, nullptr);                              \
    });                                                                                                              \
  }
DAG_KERNELS(f32)
DAG_KERNELS(f64)
