/** GPT-2's vocabulary for `tokenizer('gpt2')` where there are no files: importing this module is what makes it known. */
import ranks from 'gpt-tokenizer/bpeRanks/r50k_base';
import { provideRanks } from './tokenizer/gpt2.js';

provideRanks(() => ranks);
