import fc from 'fast-check';

// Property tests draw the same cases in every run; DAG_TEST_SEED takes another number, or `random`, for others.
const seed = process.env.DAG_TEST_SEED ?? '16';
if (seed !== 'random') fc.configureGlobal({ seed: Number(seed) });
