/**
 * How people ask for arithmetic, as templates. `[a|b]` is a choice. A capital is an operand: A and B an atom (a number, a group, a noun
 * phrase), G a number or a group, N a number, P a percentage, F a fraction, E a constant exponent, C a command, I an infix phrase. `*add`
 * is a list, "A, B and C", whose joints write that operator. What a word writes stands behind it: `from:subFrom` an operator, `of:(` the
 * beginning of a group, which ends with the template, `then:then` the end of a part of a sequence. `A>square`: the first word of A writes
 * it. A mark stands where a reader from left to right knows enough: "square" may go on with "root", so "the square of" is marked at `of`.
 * Each choice made is a phrase of its own; some are held out whole (see `frames.ts`).
 */

/** Noun phrases: operands of others. */
export const NOUNS = [
  '[the|] [sum|total|grand total|combined total|overall total|sum total] of:( *add',
  '[the|] [sum|total] [you get from|that results from|that comes from] adding:( *add',
  '[the|] [result|outcome] of adding:( *add',
  '[the|] [result|outcome] of adding:( A [to|with]:add B',
  '[the|] [result|outcome] of multiplying:( A [by|with|and]:mul B',
  '[the|] [result|outcome] of dividing:( A by:div B',
  '[the|] [result|outcome] of subtracting:( A from:subFrom B',
  '[the|] [result|outcome] of taking:( A [away|] from:subFrom B',
  '[the|] [product|multiplication] of:( *mul',
  '[the|] product [obtained by|you get by|that comes from] multiplying:( A [and|by|with]:mul B',
  '[the|] [average|mean|arithmetic mean|average value|mean value] of:( *mean',
  '[the|] [|absolute|positive] difference:sqrt [between|separating]:square( A and:sub B',
  '[the|] [distance|gap]:sqrt [between|separating]:square( A and:sub B',
  '[the|] distance:sqrt from:square( A to:sub B',
  '[the|] [quotient|ratio|division|fraction] of:( A and:div B',
  '[the|] ratio of:( A to:div B',
  '[the|] [ratio|quotient] between:( A and:div B',
  '[the|] quotient when:( A is divided by:div B',
  '[the|] quotient of:( A divided by:div B',
  '[the|] [square|second power] of:square A',
  '[the|] [cube|third power] of:cube A',
  '[the|] [square root|root|positive root|principal square root|positive square root]:sqrt of A',
  '[the|] [cube root|cubic root|third root]:cbrt of A',
  '[the|] [reciprocal|inverse|multiplicative inverse] of:reciprocal A',
  '[the|] absolute value:sqrt of:square A',
  '[the|] [negative|opposite|negation|additive inverse] of:neg A',
  '[twice|double]:twice A',
  '[twice|double]:twice the [amount|value|size] of A',
  '[thrice|triple]:thrice A',
  '[thrice|triple]:thrice the [amount|value|size] of A',
  '[half|a half]:half [of|] A',
  'half:half the [amount|value|size] of A',
] as const;

/** Noun phrases that bind as a product does: operands of sums only. */
export const PRODUCTS = [
  'P of:mul A',
  'F of:mul A',
  'N times:mul A',
  'N lots of:mul A',
  'N sets of:mul A',
] as const;

/** Behind an operand, which is a number or a group. */
export const BEHIND = ['G squared:squared', 'G cubed:cubed', 'G doubled:doubled', 'G halved:halved'] as const;

/** Between two operands. */
export const INFIX: Readonly<Record<string, readonly string[]>> = {
  add: ['plus:add', 'added to:add', 'increased by:add', 'more than:add', 'together with:add', 'in addition to:add', 'combined with:add', 'raised by:add', 'on top of:add', 'greater than:add', 'added onto:add', 'summed with:add'],
  sub: ['minus:sub', 'take away:sub', 'decreased by:sub', 'reduced by:sub', 'diminished by:sub', 'lowered by:sub', 'lessened by:sub', 'subtracting:sub', 'subtract:sub', 'with a reduction of:sub', 'taking away:sub', 'cut by:sub'],
  mul: ['times:mul', 'multiplied by:mul', 'multiplied with:mul', 'lots of:mul', 'groups of:mul', 'times:mul by', 'scaled by:mul', 'sets of:mul', 'multiplied times:mul'],
  div: ['divided by:div', 'over:div', 'split by:div', 'shared by:div', 'split into:div', 'shared between:div', 'divided up by:div', 'split among:div', 'shared among:div', 'out of:div', 'split between:div'],
  subFrom: ['less than:subFrom', 'subtracted from:subFrom', 'taken from:subFrom', 'taken away from:subFrom', 'fewer than:subFrom', 'deducted from:subFrom', 'removed from:subFrom', 'smaller than:subFrom', 'lower than:subFrom'],
  divInto: ['divided into:divInto'],
};
export const POWERS = ['to:pow the power of', 'to:pow the power', 'raised to:pow the power of', 'raised to:pow the power', 'raised to:pow', '^:pow'] as const;

/** Commands: "add 3 to 4". They also follow "what do you get if you". */
export const COMMANDS = [
  'add A [to|and|with|onto]:add B',
  'add [up|together|] *add',
  '[sum|sum up|total|total up|combine|put together|tally|tally up|add all of] *add',
  'find the total if you add:( *add',
  'join A [and|with]:add B',
  'combine A with:add B',
  'count A and:add B together',
  'increase A by:add B',
  'raise A by:add B',
  'put A on top of:add B',
  'subtract A from:subFrom B',
  'take A [away|off|out|] from:subFrom B',
  '[deduct|remove|take away|withdraw] A from:subFrom B',
  'from N [subtract|take|take away|remove|deduct]:sub A',
  '[reduce|decrease|lower|diminish|lessen|cut|shrink] A by:sub B',
  'multiply A [by|and|with|times]:mul B',
  'multiply [together|] *mul',
  'times A [by|with]:mul B',
  'scale A by:mul B',
  '[find|take|get|form] the product of:( *mul',
  '[find|take|get|form] the sum of:( *add',
  'divide A by:div B',
  '[divide|split|share] A [between|among|into]:div B',
  '[split|divide] A into:div B [parts|equal parts|groups|equal groups|pieces]',
  'share A equally [between|among]:div B',
  'square A>square',
  'cube A>cube',
  '[double|twice]:twice A',
  'triple:thrice A',
  'halve:half A',
  'negate:neg A',
  'invert:reciprocal A',
  'average *mean',
  '[take|find|get] the [average|mean] of:( *mean',
  'take half:half of A',
  '[take|find|get] the [square root|root]:sqrt of A',
  '[take|find|get] the cube root:cbrt of A',
  '[take|find] the absolute value:sqrt of:square A',
  '[find|get] P of:mul A',
  'raise A to:pow the [power of|power] E',
  'put A over:div B',
] as const;

/** Questions of their own. */
export const QUESTIONS = [
  'what do you [get|have|end up with] [if|when] you C ?',
  'what [is|will be|would be] the [result|answer|outcome] [if|when] [you|i|we] C ?',
  'what happens [if|when] you C ?',
  'if [you|i|we] C , what [do you get|is the result|is the answer|comes out] ?',
  'what is left [if|when] you [take|subtract|take away|remove] A from:subFrom B ?',
  'what [remains|is left] when A is [subtracted|taken|taken away|removed|deducted] from:subFrom B ?',
  'what do A and:add B [make|make together|add up to|come to|total|sum to|give] ?',
  'what do *add [make|make together|add up to|come to|total|sum to|make in all] ?',
  'how much [do|are] *add [make|come to|together|in total|altogether|combined|add up to] ?',
  'how much is A [and|plus]:add B together ?',
  'how [often|many times] does A [go|fit] into:divInto B ?',
  'how many times is A contained in:divInto B ?',
  'how many A s are there in:divInto B ?',
  '[by how much|how much] does A exceed:sub B ?',
  '[by how much|how much] is A [more|greater|larger|bigger|higher] than:sub B ?',
  'how much [more|greater|larger|bigger|higher] is A than:sub B ?',
  '[by how much|how much] is A [less|smaller|lower|fewer] than:subFrom B ?',
  'how much [less|smaller|lower|fewer] is A than:subFrom B ?',
  'how far:sqrt [apart|away from each other] are:square( A and:sub B ?',
  'how far:sqrt is:square( A from:sub B ?',
  'what must [be added|you add|i add|we add] to A to [get|make|reach|obtain]:subFrom B ?',
  'what [number|value] is A [more|greater|bigger|larger|higher] than:add B ?',
  'what [number|value] is A [less|smaller|lower] than:subFrom B ?',
  'which number is A more than:add B ?',
  'which number is A less than:subFrom B ?',
  'what does I [equal|make|come to|give|amount to|work out to|result in] ?',
  'how much does I [make|equal|come to|give] ?',
  'A and:add B [make|makes|is] [how much|what] ?',
  'I [is|equals|makes|gives] [what|how much] ?',
  'what is A when it is [divided|split] by:div B ?',
  'what is A when [multiplied|scaled] by:mul B ?',
  'if A is divided by:div B , what is the [result|quotient] ?',
  'if A is multiplied by:mul B , what is the [result|product] ?',
  'if A is increased by:add B , what is the result ?',
  'if A is [decreased|reduced] by:sub B , what is the result ?',
  'when A is added to:add B , what [do you get|is the sum] ?',
  'when A is subtracted from:subFrom B , what do you get ?',
] as const;

/** Steps of a sequence, on what stands before. */
export const STEPS = [
  '[add|plus]:add A [to it|to that|to the result|]',
  'add:add on A',
  '[subtract|take away|minus|deduct|take off|remove]:sub A [from it|from that|from the result|]',
  'multiply [it|the result|that|the answer|this|] by:mul A',
  'times [it|that] by:mul A',
  'divide [it|the result|that|the answer|this|] by:div A',
  'split [it|that] by:div A',
  'subtract [it|the result|that|the answer] from:subFrom A',
  'take [it|the result|that] away from:subFrom A',
  'increase [it|the result|that|] by:add A',
  '[decrease|reduce] [it|the result|that|] by:sub A',
  'square:squared [it|the result|that|the answer]',
  'cube:cubed [it|the result|that]',
  'double:doubled [it|the result|that|the answer]',
  'halve:halved [it|the result|that]',
  'take half:halved of [it|that|the result]',
  'take the square root:rooted [of it|of that|of the result|]',
] as const;
export const CONNECTORS = [
  ', then:then',
  'and then:then',
  ', and then:then',
  '. then:then',
  '; then:then',
  'then:then',
  ', after that:then',
  'and after that:then',
  ', next:then',
  '. next:then ,',
  ', and finally:then',
  '. now:then',
  ', afterwards:then',
  '. after that:then ,',
] as const;
export const STARTS = ['start with A', 'begin with A', 'take A', 'take the number A', 'start from A', 'think of A', 'let us start with A', 'start at A'] as const;

/** Before a command. */
export const REQUESTS = ['please', 'can you', 'could you', 'now', 'i want you to', 'you should', 'would you', 'let us', 'try to', 'could you please', 'can you please', 'now please', 'i need you to', 'your task is to', 'you have to'] as const;

/** Before a noun phrase or an expression. */
export const OPENINGS = [
  ...['what is', "what's", 'what is the value of', 'what is the result of', 'what is the answer to', 'what would be', 'what does the following equal :'],
  ...['calculate', 'compute', 'evaluate', 'work out', 'find', 'determine', 'solve', 'simplify', 'give', 'give me', 'tell me', 'show me', 'figure out'],
  ...['how much is', 'how much would be', 'can you calculate', 'could you work out', 'can you compute', 'could you tell me', 'can you tell me what is'],
  ...['please calculate', 'please compute', 'please work out', 'please tell me', 'please find', 'please evaluate'],
  ...['i need', 'i want to know', 'i would like to know', 'i need to know', 'do you know', 'find the value of', 'find the result of', 'calculate the value of'],
  ...['the value of', 'the result of', 'let us calculate', 'try to calculate', 'evaluate the expression', 'compute the expression', 'the expression'],
  ...['work out the value of', 'work out the answer to', 'get', 'what will be', "what'll be", 'how many is', 'say', 'write down', 'state', 'output', 'return', 'print'],
  ...['what is the exact value of', 'could you calculate', 'could you compute', 'would you calculate', 'can you evaluate', 'can you find', 'can you work out', 'help me calculate'],
  ...['help me work out', 'i have to calculate', 'i have to find', 'we need', 'we want', 'let me know', "let's compute", "let's find", 'what number is', 'what value is', 'which number is'],
] as const;
/** Before everything. */
export const GREETINGS = [
  ...['please', 'hey ,', 'hi ,', 'hello ,', 'hello !', 'hi !', 'ok ,', 'okay ,', 'so ,', 'so', 'well ,', 'now', 'now ,', 'question :', 'quick question :', 'q :', 'problem :'],
  ...['math problem :', 'exercise :', 'excuse me ,', 'i wonder :', 'my homework asks :', 'next :', 'um ,', 'uh ,', 'task :', 'sum :', 'maths question :', 'dear assistant ,'],
  ...['give the answer in decimals .', 'give the answer as a decimal .', 'answer in decimals .', 'answer as a decimal .', 'round nothing .', 'do not round .', "don't round .", 'no rounding .'],
  ...['show only the result .', 'just the number .', 'answer with a number .', 'think step by step .', 'be exact .', 'without a calculator :', 'in your head :', 'using a calculator ,', 'can you help me ?'],
  ...['i have a question .', 'answer the following question .', 'answer this :', 'solve this :', 'calculate this :', 'calculate the following :', 'compute the following .', 'tell me :'],
  ...['write the answer as a decimal number .', 'give an exact answer .', 'reply with the result .', 'give me the answer :', 'what is the answer :', 'a question for you :', 'listen ,', 'good morning !'],
] as const;
/** After everything. */
export const CLOSINGS = [
  ...['?', '=', '= ?', '.', '!', '? ?', '?', '=', '.', ';'],
  ...['please', 'please ?', 'please .', ', please', ', please ?', 'thanks', 'thanks .', ', thanks', '? thanks', 'thank you', '? thank you', '. thank you !', 'for me', 'for me ?', 'exactly', 'exactly ?'],
  ...['in decimals', 'as a decimal', 'as a decimal ?', '? give the answer in decimals .', '. give the answer as a decimal .', '? do not round .', '. round nothing .', 'without rounding', 'answer :', '? answer :'],
  ...['= ? answer with a number .', '? just the number', '? show only the result .', '. answer :', 'equals', 'is', 'equals ?', 'is what ?', 'equals what ?', 'in total', '? i need the exact value .', ', ok ?'],
] as const;
