/** GPT-2's vocabulary for pages. Import this module before `tokenizer('gpt2')` or a model that uses it. */
import ranks from 'gpt-tokenizer/bpeRanks/r50k_base';
import { provideRanks } from './tokenizer/gpt2.js';

provideRanks(() => ranks);
