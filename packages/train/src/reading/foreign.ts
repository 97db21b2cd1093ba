/**
 * What asks for nothing that a plan can say, as templates: a capital N is a number, U one without a sign, X an expression, `[a|b]` a choice. All of it is refused, from its first
 * word on or from the word behind `!`; `!!` is an exclamation mark. Sentences are our own.
 */
export const FOREIGN = [
  // Functions and operations that plans do not have.
  '! [sin|cos|tan|exp|ln|log|arcsin|arccos|arctan|sinh|cosh|tanh|floor|ceil|round|factorial|gamma|sec|cot|csc|sign|trunc] ( X ) [|=|?]',
  'what is ! the [sine|cosine|tangent|logarithm|natural logarithm|exponential|factorial|floor|ceiling|derivative|integral|log] of X [|?]',
  '[calculate|compute|evaluate|find|] ! [sin|cos|tan|exp|ln|log] ( X ) [+|-|*|/] X',
  'X [+|-|*|/] ! [sin|cos|tan|exp|ln|log] ( X ) [|=]',
  'N ! !!', 'N ! !! [+|-|*] N',
  'N ! [mod|modulo|choose|div|xor|and|or|degrees] ! N',
  '[what is|find|calculate|compute|give|] the ! [remainder|rest] [when|if] N is divided by N [|?]',
  '[what is|find|calculate|compute|] the ! [greatest common divisor|greatest common factor|gcd|least common multiple|lcm|maximum|minimum|median|mode|range|larger|smaller|largest|smallest|standard deviation|variance|hypotenuse] of N and N [|?]',
  '[what is|find|calculate] the sum of ! the digits of [the number|] N [|?]',
  '[what is|find|calculate] the ! [digits|factors|divisors|prime factors|multiples|square roots|first digit|last digit|number of digits] of N [|?]',
  '! [is|are|was] N [a prime number|prime|even|odd|a square|divisible by N|greater than N|less than N|equal to N|a factor of N] [|?]',
  '! round N to [N decimals|N decimal places|the nearest integer|the nearest ten] [|?]',
  'what is N ! rounded to N [decimals|decimal places|digits|significant figures] [|?]',
  '! how many [digits|factors|primes|numbers|even numbers|zeros] [are there between|are between|does N have ,|are below] N and N [|?]',
  '! which is [larger|smaller|bigger|greater] , N or N [|?]',
  '! sort N , N and N',
  '! [convert|change] N [meters|feet|miles|pounds|inches|degrees|dollars] to [feet|meters|kilometers|kilograms|centimeters|celsius|euros] [|?]',
  'how many ! [meters|feet|minutes|hours|seconds|days|weeks|inches|cents|grams] are [in|there in] N [kilometers|miles|hours|days|years|feet|dollars|kilograms] [|?]',
  // Of what the percentage is, is not said.
  '[add|subtract|take] U % ! [to|from|off] N', '[increase|decrease|reduce|raise|lower] N by U ! [%|percent]', '[what is|] U % ! [more|less] than N [|?]', 'N [+|-] ! U % off',
  // Variables and equations.
  '[solve|find|what is|] ! [x|y|z|n|a|t] [+|-|*|/] X [=|] N',
  '[solve|] X [+|-|*|/] ! [x|y|z|n|a] = X', 'solve ! for [x|y] : X + [x|y] = N',
  'N ! [x|y|z|a|b|n] [+|-] N [|= N]', '! [x|y|n|a] = N [, x + N|, what is x|]', '! f ( [x|N] ) = X',
  'X ! = N', 'X = ! N [+|-|*] N', 'N ! [<|>|≤|≥|≠] N', '! if x = N , what is x [+|-|*] N ?',
  // Numbers that are only there.
  'N ! U', 'N , ! N , N', '( N , ! N )', 'N : ! N', 'N ! U [+|-|*] N', '! page N of N', '! chapter N , section N', 'N [+|-|*] N ! U', 'N ! / ! / N', 'N + N ! , N + N', 'what is N + N ? ! what is N + N ?',
  '! call me at N - N - N', '! the meeting is at N : N on [monday|tuesday|friday|sunday]', '! room N is on floor N', '! my number is N', '! he was born in N and died in N', '! the score was N to N',
  '! [i|we|you|he|she|they] [live|lives|worked|works|stayed] at N [main|park|oak|high] street', '! it costs N dollars', '! [on|since|until] [january|march|may|june|july|october|december] N , N', '! version N of N is out',
  '! the temperature [is|was] N degrees [today|yesterday|outside]', '! see figure N and table N', '! there are N people and N chairs', '! flight N leaves at N', '! order N has been shipped in N boxes', '! add N eggs and N cups of flour',
  '! bus number N stops every N minutes', '! he won N of N games', '! N percent of people agree', '! [hello|good morning|good evening|dear sir|hey you|hello world|thanks a lot|who are you|how are you|what time is it|tell me a joke|what can you do]',
  '! write a [poem|story|letter|song] about N [cats|dogs|years|cars]', '! what is the [capital|population|weather|name|meaning] of [france|life|this|the city|number N]', '! translate N into [french|german|words|roman numerals|binary]', '! spell N',
  '[what is|calculate|] X ! [dollars|apples|meters|cm|kg|km|people|hours|%  off|years] [|?]',
  'what is ! the [area|perimeter|volume|circumference|diagonal] of a [square|circle|rectangle|cube|sphere] [of side|with radius|with sides] N [and N|] ?',
  '! what [comes next|is next] : N , N , N [, N|] ?', '! count from N to N', '! how old is [he|she|tom|the cat] if [he|she|it] was born in N ?',
  '( ! A ) N ( B ) N ( C ) N ( D ) N', 'X ! answer choices : ( a ) N ( b ) N ( c ) N',
  '! N [nd|rd|th|st] [prime|root of N|power of N|place|term]', 'what is the ! N [th|st|rd|nd] [prime|term|digit of pi|fibonacci number] ?',
  '! [pi|e|i|infinity] [+|-|*|/] X', 'X [+|-|*|/] ! [pi|e|i|infinity]', 'the sum of ! all [numbers|integers|even numbers|primes] from N to N', '! what is the probability of N heads in N tosses ?',
  '! if N [workers|machines|hens|cats] [make|need|lay|eat] N [cars|days|eggs|mice] in N [days|hours] , how [many|long] do N need ?',
] as const;

/** Stories: S sentences about a person, things and numbers, and a question. */
export const PEOPLE = ['tom', 'mary', 'john', 'anna', 'the teacher', 'my brother', 'a farmer', 'lily', 'sam', 'the shop', 'a company', 'each student', 'the baker', 'our school', 'he', 'she', 'they', 'the class', 'a train', 'peter', 'lucy', 'maria', 'james', 'the team', 'a factory', 'the driver', 'david', 'a box', 'every child', 'her mother', 'his friend'] as const;
export const VERBS = ['has', 'buys', 'bought', 'gives away', 'gave', 'sold', 'sells', 'ate', 'eats', 'made', 'found', 'lost', 'picked', 'needs', 'wants', 'used', 'read', 'collected', 'spent', 'earned', 'saved', 'paid', 'drove', 'ran', 'walked', 'packed', 'carried', 'filled', 'received', 'had', 'counted', 'planted', 'broke', 'brought', 'put', 'took', 'shared', 'cut', 'baked', 'won'] as const;
export const THINGS = ['apples', 'books', 'cookies', 'marbles', 'dollars', 'pencils', 'cars', 'flowers', 'eggs', 'cards', 'miles', 'hours', 'boxes of candy', 'stickers', 'balloons', 'pages', 'tickets', 'pounds of rice', 'oranges', 'toys', 'stamps', 'chairs', 'trees', 'bottles', 'students', 'pints', 'cups of sugar', 'red balls', 'more', 'fewer', 'of them', 'days', 'shirts', 'slices of pizza', 'crayons', 'fish', 'dogs', 'meters', 'cents', 'seats'] as const;
export const ENDS = ['how many [are left|in all|altogether|does he have now|does she have|remain|more are needed|were there at first|did they have|will each get] ?', 'how much [money|time|more|is left|did it cost|does each pay|did they earn|should he pay] ?', 'what is the total [cost|number|weight|price|distance] ?', 'how many T [are left|does P have|were there|did P use|in all] ?', 'what was the [price|average|speed|difference|ratio] ?', 'find the [total|number of T|cost] .', '', 'then how many T did P have ?'] as const;
