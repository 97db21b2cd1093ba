import { tokenizer } from '@dag/model';
import type { Random } from '@dag/expr';
import { pick } from './choose.js';
import { ENDS, FOREIGN, PEOPLE, THINGS, VERBS } from './foreign.js';
import * as phrases from './phrases.js';
import * as surroundings from './surroundings.js';

/** Words of arithmetic, quantity and number, which are no chatter wherever they stand. */
const ARITHMETIC =
  /^(?:add|sub|mult|div|mod|neg|pos|cal|sum|tot|max|min|avg|log|sin|cos|tan|exp|abs|sqrt|cube|squar|root|pow|frac|ratio|percent|cent|per|each|every|both|pair|couple|dozen|doub|twi|tri|quad|hal|quarter|third|fourth|fif|six|seven|eight|nine|ten|hundred|thousand|million|billion|zero|one|two|three|four|five|none|nothing|all|rest|left|remain|differ|equal|count|number|digit|figure|plus|minus|times|over|under|less|more|most|least|great|larg|small|bigg|high|low|above|below|increas|decreas|reduc|grow|gain|loss|lost|cut|drop|take|took|taken|without|except|exclu|inclu|join|combin|together|togeth|rais|lift|point|negative|positive|even|odd|prime|factor|round|approach|single|multi|share|split|part|piece|group|apart|set|sets|once|again|another|extra|open|clos)/;

let words: readonly string[] | null = null;
const ENDINGS = ['s', 'ed', 'er', 'ing', 'ly', 'y', 'es', 'al', 'ion', 'able', 'ful', 'est'];
/** Of GPT-2's tokens those with an id below this, which are the most common. */
const COMMON = 6500;
/** Words of home, school, shops and talk that are no common tokens. */
const EVERYDAY = (
  'homework teacher classmate grandma grandpa granddaughter grandson nephew niece cousin uncle aunt ' +
  'auntie toddler teenager buddy pal mate folks kitchen bakery butcher grocery grocer florist plumber ' +
  'carpenter electrician mechanic accountant bookkeeper cashier landlord tenant waiter waitress pizza ' +
  'burger sandwich pancake muffin cupcake chocolate biscuit cookie noodles spaghetti lettuce tomato ' +
  'tomatoes potato potatoes carrot banana lemon pencil notebook backpack calculator spreadsheet ' +
  'worksheet textbook chalkboard blackboard whiteboard quizzes exam exams revision tutor tutoring ' +
  'algebra arithmetic geometry mathematics stuck confused puzzled baffled clueless hopeless annoyed ' +
  'bored tired sleepy hungry thirsty grumpy cheerful anxious nervous embarrassed frustrated excited ' +
  'exhausted curious impatient stubborn lazy silly stupid dumb smart clever brilliant awesome amazing ' +
  'fantastic terrible horrible awful weird tricky tough easy simple trivial boring urgent asap whatever ' +
  'nevermind hopefully honestly frankly seriously basically literally obviously apparently supposedly ' +
  'anyways meanwhile afterwards beforehand tonight tomorrow yesterday weekend holiday vacation birthday ' +
  'christmas halloween thanksgiving easter wedding anniversary invoice receipt budget mortgage rent ' +
  'salary wages payroll bonus loan overdraft savings wallet purse groceries laundry garage basement ' +
  'attic balcony garden backyard fence driveway carpet curtain wallpaper plywood plank nails hammer ' +
  'screwdriver drill recipe oven fridge freezer dishwasher microwave kettle teapot mug saucepan spoon ' +
  'teaspoon tablespoon garlic onion cinnamon vanilla yeast dough batter puppy kitten hamster goldfish ' +
  'parrot rabbit bunny turtle pony chicken duck goat donkey elephant giraffe penguin dinosaur unicorn ' +
  'dragon pirate soccer football basketball baseball volleyball tennis hockey cricket swimming cycling ' +
  'jogging marathon chess poker domino puzzle crossword sudoku riddle trivia keyboard laptop tablet ' +
  'smartphone printer scanner screenshot download upload password username email inbox browser website ' +
  'podcast playlist whisper mumble shout yell giggle laugh sneeze cough snore yawn stumble stare glance ' +
  'wonder guess reckon figure suppose assume doubt forget remember struggle manage cheat peek hurry ' +
  'rush dawdle procrastinate cram memorize memorise recite spell scribble doodle erase thankful ' +
  'grateful sorry apologies pardon cheers howdy greetings hiya hola bonjour namaste ciao darling ' +
  'sweetie honey dear sir madam professor doctor nurse dentist librarian principal headmaster janitor ' +
  'coach referee umpire captain sergeant colonel engineer programmer developer coder hacker sentence ' +
  'paragraph essay chapter lesson lecture seminar semester kindergarten preschool nursery college ' +
  'university scholarship diploma degree bucket barrel basket crate suitcase luggage ticket passport ' +
  'airport subway tram ferry bicycle scooter motorbike tractor trailer caravan umbrella raincoat ' +
  'sweater jacket mittens gloves scarf boots sneakers sandals slippers pajamas pyjamas trousers shorts ' +
  'underwear necklace bracelet headache migraine allergy fever bandage pharmacy ambulance vaccine ' +
  'vitamin diabetes pregnant elderly disabled blind deaf sunny rainy cloudy windy foggy stormy thunder ' +
  'lightning snow blizzard hurricane earthquake volcano desert jungle meadow orchard vineyard harvest'
).split(' ');

/** Common words, none of which phrases use. */
function common(): readonly string[] {
  if (words) return words;
  const used = new Set(
    [
      ...[...Object.values(phrases), ...Object.values(surroundings)].flatMap((list) =>
        Object.values(list).flat(),
      ),
      ...FOREIGN,
      ...ENDS,
      ...PEOPLE,
      ...THINGS,
      ...VERBS,
    ]
      .join(' ')
      .toLowerCase()
      .split(/[^a-z]+/),
  );
  const tokens = tokenizer('words');
  const texts = Array.from({ length: COMMON }, (_, id) => tokens.decode([id]));
  const single = texts.filter((text) => /^ [a-z]{3,}$/.test(text)).map((text) => text.slice(1));
  words = [...new Set([...single, ...EVERYDAY])].filter((word) => !used.has(word) && !ARITHMETIC.test(word));
  return words;
}

/** A word that has nothing to do with arithmetic, now and then with another ending. */
export function chatterWord(random: Random): string {
  const word = pick(random, common());
  return random.chance(0.65) ? word : `${word}${pick(random, ENDINGS)}`;
}

/** Common words, which have nothing to do with arithmetic between the others. */
const SMALL =
  'i my the a an is was am are and to of in on at it we you he she they this that so but with for just have had need know do can if not very too our me your as from by about or be will there then here now always never really her his its would could should were been has did who why where'.split(
    ' ',
  );

/** What people say around what they ask for: one to `most` words, at least one of which is no common one. */
export function smallTalk(random: Random, most: number): string {
  const words = Array.from({ length: 1 + random.below(most) }, () =>
    random.chance(0.5) ? pick(random, SMALL) : chatterWord(random),
  );
  words[random.below(words.length)] = chatterWord(random);
  return words.join(' ');
}

/** One to `most` such words. */
export const chatter = (random: Random, most: number): string =>
  Array.from({ length: 1 + random.below(most) }, () => chatterWord(random)).join(' ');
