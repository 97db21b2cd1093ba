// Plans of any kind: a block of graphs in lanes, with the arithmetic of dag_step.h.
#pragma once
#include "dag_lanes.h"

#include "../dag_step.h"

namespace {

/** Arrays begin with a tile. */
constexpr i64 padded(i64 count) { return (count + TILE - 1) / TILE * TILE; }

/** Bump allocator of vectors from a block of memory. */
struct Arena {
  V* next;
  V* take(i64 count) {
    V* const taken = next;
    next += padded(count);
    return taken;
  }
};

struct LaneNodes {
  V *values, *magnitudes, *signs, *logs, *reciprocals;
  i64 known = 0;

  V value(int j) const { return values[j]; }
  V magnitude(int j) const { return magnitudes[j]; }
  V sign(int j) const { return signs[j]; }
  V reciprocal(int j) const { return reciprocals[j]; }
  V log(int j) const { return logs[j]; }
  void takeLogs(int count) {
    for (; known < count; known++) logs[known] = logOfMagnitude(magnitudes[known]);
  }
  template <bool GRADIENTS>
  void set(i64 j, V value, V magnitude, V sign) {
    values[j] = value;
    magnitudes[j] = magnitude;
    signs[j] = sign;
    if (GRADIENTS) reciprocals[j] = 1 / magnitude;
  }
};

/** The coefficients of a step. Skipping those that are 0 in all lanes would cost more than it saves. */
struct LaneRow {
  const V* first;
  V operator[](int j) const { return first[j]; }
  int next(int j, int) const { return j + 1; }
  int previous(int j) const { return j - 1; }
};

class GeneralBlock {
 public:
  GeneralBlock(i64 depth, const StepRules& rules, bool hasGradients, Arena& arena) : depth(depth), width(2 * depth), rules(rules) {
    V** const ofNodes[] = {&magnitude, &sign, &nodes.values, &nodes.magnitudes, &nodes.signs, &nodes.logs, &nodes.reciprocals};
    V** const gradients[] = {&byNode.value, &byNode.magnitude, &byNode.sign};
    V** const ofTerms[] = {&O, &outO, &turns.q, &turns.sin, &turns.cos, &turns.before};
    for (V** vectors : ofNodes) *vectors = arena.take(width);
    for (V** vectors : gradients) *vectors = arena.take(width);
    for (V** vectors : ofTerms) *vectors = arena.take(depth * (width + 1));
    G = O + depth * width;
    outG = outO + depth * width;
    parts = reinterpret_cast<Parts<V>*>(arena.take(depth * PARTS));
    if (!hasGradients) return;
    // Gradients of intermediate nodes, and of coefficients that no step reads, stay zero.
    for (V* vectors : {byNode.magnitude, byNode.sign}) std::memset(vectors, 0, width * sizeof(V));
    std::memset(outO, 0, depth * (width + 1) * sizeof(V));
  }

  static i64 vectors(i64 depth) {
    return 10 * padded(2 * depth) + 6 * padded(depth * (2 * depth + 1)) + padded(depth * PARTS);
  }

  const i64 depth, width;
  // Inputs: the initial nodes, the plan. G is behind O, so that the plan is a run of columns, and so are its gradients.
  V *magnitude, *sign, *O, *G;
  // Gradients of the initial nodes, of coefficients and gates.
  NodeGradients<V*> byNode;
  V *outO, *outG;

  /** Computes the nodes; returns the last one. With GRADIENTS also saves what `backward` needs. */
  template <bool GRADIENTS>
  V forward() {
    nodes.known = 0;
    for (i64 j = 0; j < depth; j++)
      // A negative magnitude, −0 too, counts as the positive one with the opposite sign.
      nodes.template set<GRADIENTS>(j, sign[j] * magnitude[j], magnitudeOf(magnitude[j]), flipped(sign[j], magnitude[j]));
    for (i64 i = 0; i < depth; i++) {
      parts[i] = partsOf<GRADIENTS, V>(nodes, LaneRow{O + i * width}, depth + i, G[i], rules, turnsOf(i));
      const V value = valueOf(parts[i], G[i], rules.limit);
      nodes.template set<GRADIENTS>(depth + i, value, magnitudeOf(value), signOf(value));
    }
    return nodes.values[width - 1];
  }

  /** Computes the gradients of upstream · value. Returns whether all those in the lanes of `inUse` are at most `most`. */
  bool backward(V upstream, Lanes inUse, f64 most) {
    const V probe = differentiate<false>(upstream);
    if (!anyOf(without(inUse, atMost(probe, splat(most))))) return true;
    // Lanes whose results were valid get the same bits again.
    differentiate<true>(upstream);
    return false;
  }

 private:
  static constexpr i64 PARTS = sizeof(Parts<V>) / sizeof(V);
  const StepRules rules;
  LaneNodes nodes;
  Turns<V*> turns;
  Parts<V>* parts;

  Turns<V*> turnsOf(i64 i) const {
    return {turns.q + i * width, turns.sin + i * width, turns.cos + i * width, turns.before + i * width};
  }

  /** Returns an upper bound of all gradients; NaN if a gradient may be NaN. */
  template <bool CAREFUL>
  __attribute__((noinline)) V differentiate(V upstream) {
    V probe = V{};
    for (V* vectors : {byNode.value, byNode.magnitude, byNode.sign}) std::memset(vectors, 0, width * sizeof(V));
    byNode.value[width - 1] = upstreamOf(upstream, nodes.values[width - 1]);
    for (i64 i = depth - 1; i >= 0; i--) {
      const i64 k = depth + i;
      const V total = gradientOf<CAREFUL, V>(nodes, k, byNode);
      probe += magnitudeOf(total);
      // 0 + x: a gradient that is zero is never −0.
      outG[i] = 0 + stepBackward<CAREFUL>(nodes, LaneRow{O + i * width}, k, depth, G[i], rules, total, parts[i], turnsOf(i),
                                          byNode, outO + i * width, probe);
      probe += magnitudeOf(outG[i]);
    }
    const Lanes some = differ(upstream, V{});
    for (i64 j = 0; j < depth; j++) finishInitial<CAREFUL>(nodes, j, magnitude[j], some, byNode, probe);
    for (i64 j = depth; j < width; j++) byNode.magnitude[j] = byNode.sign[j] = V{};
    return probe;
  }
};

}  // namespace
