import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { asWords, evaluate, fromText } from '../src/index.js';

describe('asWords', () => {
  test.each([
    ['What is 2.5×(Three plus 4)?', 'what is 2.5 * ( 3 plus 4 ) ?'],
    ['three quarters of 80', '( 3 / 4 ) of 80'],
    ['a half plus a third', '( 1 / 2 ) plus ( 1 / 3 )'],
    ['three-quarters of 12', '( 3 / 4 ) of 12'],
    ['two and a half times 4', '( 2 + 1 / 2 ) times 4'],
    ['two and a half million', '2500000'],
    ['a quarter million', '250000'],
    ['the product of two and a half', 'the product of 2 and ( 1 / 2 )'],
    ['½ of 18', '( 1 / 2 ) of 18'],
    ['2½ + 1', '( 2 + 1 / 2 ) + 1'],
    ['1,234½ + 2.5½', '( 1234 + 1 / 2 ) + 2.5 ½'],
    ['a dozen plus seven', '12 plus 7'],
    ['12 x four', '12 * 4'],
    ['Take 15 from 1,500.', 'take 15 from 1500 .'],
    ["I'd say it’s 2 + 3, you'll see: I’m right", "i would say it's 2 + 3 , you will see : i am right"],
    ['add 1,249.50, 1,000, and 77.10', 'add 1249.50 , 1000 , and 77.10'],
    ["the sum of 1'000, 2'000 and 1,23", 'the sum of 1000 , 2000 and 1 , 23'],
    ['what is 0x10', 'what is 0 hex 10'],
    ['nought point two times thirty', '0.2 times 30'],
    ['point five times six', '0.5 times 6'],
    ['minus point two five, and .5', 'minus 0.25 , and 0.5'],
    ['the middle point', 'the middle point'],
    ['7 point 5', '7.5'],
    ['half of 90', 'half of 90'],
    ['how many sixes go into forty-two', 'how many 6 s go into 42'],
    ['what are seven eights', 'what are 7 eights'],
    ['quick one: 2 + one', 'quick question : 2 + 1'],
    ['Question 4. Work out 3/4', 'question : work out ( 3 / 4 )'],
    ['Q7: 2 + 3', 'q : 2 + 3'],
    ['1) Evaluate: 7 - 2', 'evaluate : 7 - 2'],
    ['1) 7 - 2', '7 - 2'],
    ['5) + 3', '5 ) + 3'],
    ['question 4.5 + 1', 'question 4.5 + 1'],
    ['Could you double-check 3 + 4', 'could you check 3 + 4'],
    ['35 + 48 = ___', '35 + 48 = ?'],
    ['One more thing: one more than 2', 'a more thing : 1 more than 2'],
    ['the sq. rt. of 9 and the cube rt of 8', 'the square root of 9 and the cube root of 8'],
    ['add another one.', 'add another 1 .'],
    ['this one hundred', 'this 100'],
    ['the third number', 'the third number'],
    ['the third power of 3', 'the third power of 3'],
    ['3 to the fourth power', '3 to the power of 4'],
    ['2 raised to the 10th power', '2 raised to the power of 10'],
    ['from 9 to the third power of 3', 'from 9 to the third power of 3'],
    ['raise 2 to the 5th', 'raise 2 to the power of 5'],
    ['9 to the power of one half', '9 to the power of 0.5'],
    ['8 to the power of a third', '8 to the power of a third'],
    ['the third part of 81', '( 1 / 3 ) of 81'],
    ['two third parts of 9', '( 2 / 3 ) of 9'],
    ['the root square of 400', 'the square root of 400'],
    ['16^(1/2) + 27**(1/3)', '16 ^ 0.5 + 27 ^ 0.3333333333333333'],
    ['4^{3−5}, 2^½ and 9 to the power of (1/2)', '4 ^ - 2 , 2 ^ 0.5 and 9 to the power of 0.5'],
    ['2^(1/0), 2^(1+), 2^(1)%, 2^(2)3', '2 ^ ( 1 / 0 ) , 2 ^ ( 1 + ) , 2 ^ ( 1 ) % , 2 ^ ( 2 ) 3'],
    ['31%^2 + .5 % ** 3', '( 31 % ) ^ 2 + ( 0.5 % ) ^ 3'],
    [
      'the square root of 9/16, √9/16 and sqrt 9 / 16',
      'the square root of ( 9 / 16 ) , sqrt 9 / 16 and sqrt 9 / 16',
    ],
    ['5/6 divided by -2/3', '5 / 6 divided by - ( 2 / 3 )'],
    ['3/4 squared, 3/4^2, 3/4% of 8', '( 3 / 4 ) squared , 3 / 4 ^ 2 , ( 3 / 4 ) % of 8'],
    ['9 raised to -1/2', '9 raised to - 0.5'],
    ['2 1/2% of 80 - 1 3⁄4', '( 2 + 1 / 2 ) % of 80 - ( 1 + 3 / 4 )'],
    ['on 14/07/1998, 5/6/7, 2 5/3, two 1/2', 'on 14 / 07 / 1998 , 5 / 6 / 7 , 2 5 / 3 , 2 1 / 2'],
    ['3/4 ÷ 1/2, 3/4 / 1/2', '3 / 4 / ( 1 / 2 ) , ( 3 / 4 ) / 1 / 2'],
    ['root of 3/41,000, 3,000/4', 'root of ( 3 / 41000 ) , 3000 / 4'],
    ['two ½, 1/2 million', '2 ½ , ( 1 / 2 ) million'],
    ['|2 − |5 − 12||^2', '( abs ( 2 - abs ( 5 - 12 ) ) ) ^ 2'],
    ['|(|3 - 5| + 2) * 3|', 'abs ( ( abs ( 3 - 5 ) + 2 ) * 3 )'],
    ['|3| - |-4|', '| 3 | - | - 4 |'],
    ['Half of |3 - 5| plus abs(2)', 'half of ( the absolute value of ( 3 - 5 ) ) plus abs ( 2 )'],
    [
      'the sum of abs(3), |-4|, and |5|',
      'the sum of ( the absolute value of ( 3 ) ) , ( the absolute value of ( - 4 ) ) , and ( the absolute value of ( 5 ) )',
    ],
    ['take three from |2 squared|', 'take 3 from | 2 squared |'],
    ['the value of abs(3) + |4| divided by |5|', 'the value of abs ( 3 ) + | 4 | divided by | 5 |'],
    ['sqrt(64) percent of 50', '( sqrt ( 64 ) ) percent of 50'],
    ['15% x 80 + 5² x 3', '15 % * 80 + 5 ^ 2 * 3'],
    ['(2+3):(4) and 20 : (4) =', '( 2 + 3 ) ∶ ( 4 ) and 20 ∶ ( 4 ) ='],
    ['Question 4: 2 + 3', 'question : 2 + 3'],
    ['Section B, question 7 (2 marks): 7/8 of 56', 'section b , question : 7 / 8 of 56'],
    ['Exercise 3b) 4 - 1', 'exercise : 4 - 1'],
    ['(b)  7² + 3³ [2 marks]', '7 ^ 2 + 3 ^ 3'],
    ['(a) - 3', '( a ) - 3'],
    ['sqrt(4)% + √(4)² - √4²', '( sqrt ( 4 ) ) % + ( sqrt ( 4 ) ) ^ 2 - sqrt 4 ^ 2'],
    ['(sqrt(4)^2', '( sqrt ( 4 ) ^ 2'],
    ['ABS(2 - cbrt(8)^2)**3 / sqrt(9)', '( abs ( 2 - ( cbrt ( 8 ) ) ^ 2 ) ) ^ 3 / sqrt ( 9 )'],
    ['5³% + .5² %', '( 5 ^ 3 ) % + ( 0.5 ^ 2 ) %'],
    ['[2 + (3)] x $5', '( 2 + ( 3 ) ) * 5'],
    // What has no meaning stands as it is, for models to refuse.
    ['(1 + 2)²%', '( 1 + 2 ) ² %'],
    ['$5 + €3', '$ 5 + € 3'],
    ['|2 - |3 - 4| and |2|3 - 5||', '| 2 - | 3 - 4 | and | 2 | 3 - 5 | |'],
    ['[2 + (3)) x 5', '[ 2 + ( 3 ) ) * 5'],
  ])('writes %p as %p', (text, written) => {
    expect(asWords(text)).toBe(written);
  });

  const denominators = { halves: 2, thirds: 3, quarters: 4, fifths: 5, sixths: 6, eighths: 8, tenths: 10 };
  const fraction = fc
    .tuple(fc.integer({ min: 2, max: 99 }), fc.constantFrom(...Object.keys(denominators)))
    .map(([n, word]) => `${n} ${word}`);
  const words = fc.array(
    fc.oneof(
      fraction,
      fc.constantFrom(
        'a third',
        'dozen',
        'x',
        '½',
        '2',
        'of',
        'and',
        'to the',
        'power',
        'plus',
        '(',
        'million',
        '?',
      ),
    ),
    { maxLength: 8 },
  );
  test('takes time linear in the text', () => {
    expect(asWords('9'.repeat(90_000))).toHaveLength(90_000);
    expect(asWords(' '.repeat(90_000))).toBe('');
    expect(asWords('1   ½ '.repeat(2))).toBe('( 1 + 1 / 2 ) ( 1 + 1 / 2 )');
  });

  test('changes nothing more when it rewrites a text twice', () => {
    fc.assert(
      fc.property(words, (parts) => {
        const once = asWords(parts.join(' '));
        expect(asWords(once)).toBe(once);
      }),
    );
  });

  test('gives fractions the value that fromText reads', () => {
    const texts = fc.array(fraction, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(' plus '));
    fc.assert(
      fc.property(texts, (text) => {
        expect(evaluate(fromText(asWords(text)))).toBeCloseTo(evaluate(fromText(text)), 9);
      }),
    );
  });
});
