import { expect, test } from '@jest/globals';
import { streamExample, trainedTexts, type StreamConfig } from '../src/predictor/stream.js';
import { answerOf } from '../src/evaluation/evaluate.js';
import { heldOutQuestions } from '../src/evaluation/questions.js';
import { bySeen, seenInTraining } from '../src/evaluation/seen-in-training.js';
import { operatorsOf, skeletonOf } from '../src/evaluation/skeleton.js';

const config: StreamConfig = {
  ...{ seed: 3, tokenizer: 'char', blockSize: 64, batchSize: 16, depth: 3, digits: 3 },
  data: { numbers: 3, maxDigits: 1, maxDecimals: 1, style: 'spaced', negatedGroups: 0.2, wholeNumbers: 0.5 },
};
const training = (of: StreamConfig, count: number) =>
  Array.from({ length: count }, (_, i) => streamExample(of, 'train', i));

test('a skeleton is the operators, signs and parentheses of an expression', () => {
  expect(skeletonOf('-2.5*(3-14)/-7')).toBe('-#*(#-#)/-#');
  expect(operatorsOf('-#*(#-#)/-#')).toBe(3);
});

test('held-out texts with which a training text begins are found, and those whose skeleton one has', () => {
  const questions = heldOutQuestions(config, 200, 1);
  const seen = seenInTraining(25, (index) => trainedTexts(config, index), questions);
  const texts = training(config, 400);
  const beginnings = questions.filter(({ text }) => texts.some((made) => made.text.startsWith(text)));
  expect([...seen.beginnings].toSorted()).toEqual(beginnings.map(({ text }) => text).toSorted());
  const skeletons = new Set(texts.map(({ plain }) => skeletonOf(plain)));
  const known = questions.filter(({ plain }) => skeletons.has(skeletonOf(plain)));
  expect([...seen.skeletons].toSorted()).toEqual(known.map(({ text }) => text).toSorted());
  expect(beginnings.length).toBeGreaterThan(2);
  expect(known.length).toBeLessThan(questions.length);
  expect([seen.texts, seen.of]).toEqual([400, 400]);

  const answers = questions.map((question) => answerOf(question, null, question.expected));
  const groups = bySeen(answers, seen);
  expect(groups['beginning seen']!.count).toBe(beginnings.length);
  expect(groups['skeleton not seen']!.count).toBe(questions.length - known.length);
});

test('a beginning is one of tokens: no token of the training text is cut', () => {
  const gpt2: StreamConfig = { ...config, tokenizer: 'gpt2', data: { ...config.data, maxDigits: 4 } };
  const example = streamExample(gpt2, 'train', 0);
  const [first] = example.ids;
  const question = { text: 'asked', plain: '1', expected: 1, expr: null };
  const found = (ids: number[]) =>
    seenInTraining(1, () => [streamExample(gpt2, 'train', 0)], [{ ...question, ids }]).beginnings.size;
  expect(found([first!])).toBe(1);
  expect(found([first! + 1])).toBe(0);
});

test('a share of skeletons of two operators and more is held out whole, and none where the share is left out', () => {
  const share = 0.3;
  const withShare: StreamConfig = { ...config, data: { ...config.data, heldOutSkeletons: share } };
  const none: StreamConfig = { ...config, data: { ...config.data, heldOutSkeletons: 0 } };
  expect(training(none, 300)).toEqual(training(config, 300));
  const all = training(config, 3000);
  const kept = training(withShare, 3000);
  const skeletons = (of: typeof all) => new Set(of.map(({ plain }) => skeletonOf(plain)));
  // What is drawn again has a skeleton that is held out.
  const heldOut = skeletons(all.filter(({ text }, i) => text !== kept[i]!.text));
  for (const skeleton of skeletons(kept)) expect(heldOut.has(skeleton)).toBe(false);
  for (const skeleton of heldOut) expect(operatorsOf(skeleton)).toBeGreaterThanOrEqual(2);
  const long = [...skeletons(all)].filter((skeleton) => operatorsOf(skeleton) >= 2);
  expect(Math.abs(heldOut.size / long.length - share)).toBeLessThan(0.1);
  const asked = heldOutQuestions(withShare, 200, 1);
  expect(asked.some(({ plain }) => heldOut.has(skeletonOf(plain)))).toBe(true);
});
