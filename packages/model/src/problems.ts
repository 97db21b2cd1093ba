/** Word problems: a model that chooses the plan of a problem, and what it is made of. */
export { type NumberEvidence, type ProbableValue } from './problems/evidence.js';
export {
  keyOf,
  numbersOf,
  readEquation,
  stepsOf,
  withNumbers,
  type Coefficient,
  type Group,
  type Operand,
  type Step,
  type Term,
} from './problems/equation.js';
export { libraryOf, PlanLibrary, valueOf, type Plans, type Template } from './problems/plan-library.js';
export {
  ProblemModel,
  type Cells,
  type ProblemConfig,
  type ProblemInputs,
  type Solved,
  type SolvedProblem,
  type WordProblem,
} from './problems/problem-model.js';
export { problemWords, readProblem, type ProblemWord, type ReadProblem } from './problems/problem-text.js';
export {
  MOST_SLOTS,
  ProblemVocabulary,
  UNKNOWN,
  type EncodedProblem,
  type Hiding,
} from './problems/vocabulary.js';
