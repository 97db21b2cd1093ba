/** The words of the word problems: people, things and what happens to them, places, times. */

export interface Name {
  readonly name: string;
  readonly he: string;
  readonly his: string;
  readonly him: string;
}
const split = (words: string): string[] => words.trim().split(/\s+/);
const items = (list: string): string[] => list.split(',').map((item) => item.trim());

const HE = split(`
  abel aiden amir anders anton arjun arlo august bashir basil bruno caleb cedric chen clive cormac cyrus dante darius
  declan desmond diego dmitri eamon edgar elias emil enzo ezra felix finn gareth gavin gideon gustav hamish hassan hugo
  ibrahim idris igor ivan jasper javier joel jonas julian kai karim kofi lars leander leon levi lorenzo lucian magnus
  malik marcel mateo milo nadir niall nico noah omar orson oscar otis pablo pavel quentin rafael rashid remy rohan rufus
  samir silas simon soren stefan tariq theo tobias tomas ulric viktor wade walter xavier yusuf zane`);
const SHE = split(`
  adela agnes aisha alma amara anika annika aria astrid aurora beatrix bella bianca bridie camila carmen celeste chloe
  clara corinne dahlia daphne delia dina edith elena elise elsa esther eva fatima fiona flora freya frida gemma greta
  hana hazel helga imogen ines ingrid irene iris ivy joy june kamala karin keiko kira lara layla leila lena lila linnea
  lola lucia luna mabel maeve maya mei mila mina mira nadia naomi nina noor nora odette olga opal paloma petra phoebe
  pia priya ramona rhea rosa ruth sabine salma selma serena signe sonia stella tamar tessa thea ursula uma vera viola
  willa yara yasmin zara zelda zoe`);
const ROLES = items(
  'the baker, the gardener, the teacher, the librarian, the coach, the shopkeeper, the florist, the carpenter, the cook, ' +
    'the nurse, the painter, the tailor, the fisherman, the beekeeper, the vet, the manager, the grocer, the potter',
);
const he = (name: string): Name => ({ name, he: 'he', his: 'his', him: 'him' });
const she = (name: string): Name => ({ name, he: 'she', his: 'her', him: 'her' });
export const NAMES: readonly Name[] = [...HE.map(he), ...SHE.map(she)];
export const ROLE_NAMES: readonly Name[] = [...ROLES.map(he), ...ROLES.map(she)];
export const SPEAKERS: readonly Name[] = [
  { name: 'i', he: 'i', his: 'my', him: 'me' },
  { name: 'you', he: 'you', his: 'your', him: 'you' },
];
export const RELATIVES = items(
  'mother, father, sister, brother, friend, cousin, aunt, uncle, grandmother, grandfather, neighbor, teacher, classmate',
);

const IRREGULAR: Record<string, string> = {
  ...{ leaf: 'leaves', knife: 'knives', shelf: 'shelves', scarf: 'scarves', loaf: 'loaves', calf: 'calves' },
  ...{
    tomato: 'tomatoes',
    potato: 'potatoes',
    mango: 'mangoes',
    mouse: 'mice',
    goose: 'geese',
    sheep: 'sheep',
  },
  ...{
    fish: 'fish',
    deer: 'deer',
    person: 'people',
    child: 'children',
    man: 'men',
    woman: 'women',
    foot: 'feet',
  },
  ...{
    fisherman: 'fishermen',
    inch: 'inches',
    hero: 'heroes',
    scissors: 'scissors',
    wolf: 'wolves',
    half: 'halves',
  },
};
/** The plural of a noun; of several words that of the last one. */
export function plural(noun: string): string {
  const [, before = '', last = noun] = /^(.* )?(\S+)$/.exec(noun) ?? [];
  const irregular = IRREGULAR[last];
  if (irregular !== undefined) return before + irregular;
  if (/(s|x|z|ch|sh)$/.test(last)) return `${noun}es`;
  if (/[^aeiou]y$/.test(last)) return `${noun.slice(0, -1)}ies`;
  return `${noun}s`;
}

/** A verb: what somebody did, and its base form. */
export interface Verb {
  readonly past: string;
  readonly base: string;
}
const verb = (forms: string): Verb => {
  const [past, base] = forms.split('/') as [string, string];
  return { past, base };
};
const verbs = (list: string): Verb[] => items(list).map(verb);

/** Things of one sort, and what people do with them. */
export interface Sort {
  /** What all of them are called. */
  readonly generic: string;
  readonly nouns: readonly string[];
  readonly adjectives: readonly string[];
  /** After these somebody has more of them. */
  readonly gains: readonly Verb[];
  /** After these somebody has fewer. */
  readonly losses: readonly Verb[];
  /** They are kept in these. */
  readonly containers: readonly string[];
}
const GAINS = 'bought/buy, got/get, received/receive, ordered/order, was given/get';
const LOSSES = 'gave away/give away, sold/sell, lost/lose';
const COLORS = 'red, blue, green, yellow, black, white, orange, purple, pink, brown, gray, silver, golden';
const sort = (
  generic: string,
  nouns: string,
  adjectives: string,
  gains: string,
  losses: string,
  containers: string,
): Sort => ({
  generic,
  nouns: items(nouns),
  adjectives: items(adjectives),
  gains: verbs(gains),
  losses: verbs(losses),
  containers: items(containers),
});

export const SORTS: readonly Sort[] = [
  sort(
    'fruits',
    'crab apple, pear, plum, apricot, mango, melon, lemon, lime, white peach, fig, date, kiwi, papaya, nectarine, cherry, grape, ' +
      'banana, blood orange, tangerine, strawberry, pineapple, coconut, walnut, chestnut, hazelnut, olive',
    'ripe, unripe, sweet, sour, fresh, dried, rotten, green, red, yellow, small, large, bruised',
    `picked/pick, gathered/gather, harvested/harvest, ${GAINS}`,
    `ate/eat, sliced/slice, squeezed/squeeze, ${LOSSES}, threw away/throw away, dropped/drop`,
    'crate, basket, bowl, bag, box, sack, bucket',
  ),
  sort(
    'vegetables',
    'carrot, onion, sweet potato, tomato, cucumber, pumpkin, turnip, radish, leek, pepper, cabbage, beet, zucchini, eggplant, ' +
      'artichoke, mushroom, parsnip, bean, chili, squash',
    'fresh, ripe, small, large, frozen, organic, rotten, red, green, yellow, muddy',
    `picked/pick, dug up/dig up, harvested/harvest, grew/grow, ${GAINS}`,
    `cooked/cook, ate/eat, chopped/chop, ${LOSSES}, threw out/throw out, used/use`,
    'crate, basket, sack, bag, box, bucket, barrel',
  ),
  sort(
    'baked goods',
    'oatmeal cookie, muffin, cupcake, pie, brownie, doughnut, pancake, waffle, tart, bagel, pretzel, croissant, biscuit, scone, ' +
      'loaf, cake, roll, bun, cracker, sandwich, pizza, burrito, dumpling, sausage',
    'warm, stale, fresh, vanilla, chocolate, frozen, large, small, plain, glazed, lemon, cheese, burnt',
    `baked/bake, made/make, ${GAINS}`,
    `ate/eat, served/serve, shared/share, ${LOSSES}, burned/burn, dropped/drop`,
    'box, tray, plate, bag, tin, basket, package',
  ),
  sort(
    'sweets',
    'lollipop, toffee, caramel, mint, truffle, marshmallow, jelly bean, praline, chocolate bar, gumdrop, licorice stick, ' +
      'sugar cube, popsicle',
    'cherry, lemon, sour, sweet, mint, chocolate, red, green, orange, big, tiny, strawberry',
    `bought/buy, won/win, found/find, ${GAINS}, made/make`,
    `ate/eat, shared/share, ${LOSSES}, dropped/drop, melted/melt`,
    'bag, jar, box, pack, tin, packet',
  ),
  sort(
    'toys',
    'kite, water balloon, rag doll, puzzle, yo-yo, toy car, robot, block, drum, puppet, spinning top, teddy bear, ball, ' +
      'water gun, dice game, frisbee, jump rope, snow globe, whistle, domino, dice cup, balloon animal',
    `${COLORS}, new, old, broken, wooden, plastic, big, small, shiny`,
    `won/win, found/find, made/make, ${GAINS}, traded for/trade for`,
    `broke/break, ${LOSSES}, donated/donate, returned/return, threw away/throw away`,
    'box, bin, drawer, chest, bag, shelf, crate',
  ),
  sort(
    'school things',
    'fountain pen, colored pencil, chalk marker, eraser, ruler, notebook, folder, paper clip, binder, sharpener, sketchbook, glue stick, ' +
      'paintbrush, index card, envelope, stapler, highlighter, chalk stick, calculator',
    `${COLORS}, new, old, broken, sharp, used, plain, striped`,
    `found/find, collected/collect, ${GAINS}, bought/buy`,
    `used/use, ${LOSSES}, broke/break, lent/lend, threw away/throw away, handed out/hand out`,
    'box, drawer, pack, case, cup, desk, package',
  ),
  sort(
    'items',
    'sticker, stamp, coin, trading card, shell, rock, picture postcard, button, badge, bead, bent cap, magnet, feather, fossil, wall poster, ' +
      'photo, ticket, key ring, pebble, ruby, pin, medal, bracelet, ring, necklace, ribbon, token',
    `${COLORS}, rare, foreign, old, new, shiny, round, small, large, antique, broken`,
    `collected/collect, found/find, won/win, ${GAINS}, added/add`,
    `${LOSSES}, traded away/trade away, misplaced/misplace, mailed/mail, removed/remove`,
    'album, box, jar, drawer, case, tin, bag, binder',
  ),
  sort(
    'pieces of clothing',
    'shirt, hat, scarf, glove, jacket, sock, dress, skirt, sweater, coat, belt, tie, cap, boot, sandal, apron, mitten, ' +
      'vest, t-shirt, umbrella, handbag, towel, blanket, pillow, button shirt',
    `${COLORS}, striped, plain, dirty, clean, warm, new, old, woolen, cotton`,
    `bought/buy, sewed/sew, knitted/knit, packed/pack, ${GAINS}, made/make`,
    `donated/donate, ${LOSSES}, returned/return, threw away/throw away, tore/tear`,
    'suitcase, closet, drawer, box, bag, basket, shelf',
  ),
  sort(
    'garden plants',
    'rose, tulip, daisy, lily, orchid, sunflower, violet, daffodil, fern, cactus plant, bush, tree, seedling, poppy, ' +
      'carnation, marigold, shrub, sapling, bulb, iris flower',
    `${COLORS}, tall, short, wild, young, wilted, potted, small, large`,
    `planted/plant, grew/grow, picked/pick, ${GAINS}, cut/cut`,
    `${LOSSES}, threw out/throw out, dug out/dig out, pulled up/pull up`,
    'pot, vase, bed, row, box, bunch, garden',
  ),
  sort(
    'animals',
    'rabbit, hen, duck, goose, goat, sheep, cow, pig, horse, pony, hamster, fish, parrot, turtle, frog, snail, stray kitten, ' +
      'terrier puppy, chick, lamb, calf, pigeon, mouse, lizard, hound, llama, donkey, guinea pig, canary',
    'black, white, brown, spotted, gray, young, old, small, large, wild, tame, sleepy, hungry',
    `bought/buy, rescued/rescue, adopted/adopt, raised/raise, found/find, ${GAINS}`,
    `sold/sell, gave away/give away, released/release, set free/set free, ${LOSSES}`,
    'cage, pen, barn, stable, tank, field, crate',
  ),
  sort(
    'things',
    'thick book, leaflet, letter, newspaper, comic, map, brochure, dictionary, novel, cd, dvd, record, song, report, file, app, ' +
      'picture, drawing, painting, recipe, invitation, email, card game, diary, flyer, form',
    'new, old, funny, long, short, boring, torn, colorful, french, english, spanish, important, free',
    `collected/collect, copied/copy, saved/save, ${GAINS}, wrote/write`,
    `${LOSSES}, deleted/delete, threw away/throw away, returned/return, handed out/hand out`,
    'shelf, box, folder, drawer, pile, bag, cabinet',
  ),
  sort(
    'items',
    'dinner plate, cup, bowl, spoon, fork, knife, candle, jar, bottle, glass, lamp, vase, pan, kettle, mug, tray, garden chair, table, ' +
      'stool, rug, mirror, clock, bucket, broom, basket, nail, screw, brick, board, tile, bolt, hammer, rope, battery, bulb, ' +
      'pipe, ladder, flag, lantern, tent, sponge, soap bar',
    `${COLORS}, new, old, broken, cracked, wooden, metal, glass, plastic, dirty, clean, heavy, light`,
    `bought/buy, made/make, borrowed/borrow, ${GAINS}, packed/pack`,
    `broke/break, ${LOSSES}, used/use, returned/return, threw out/throw out`,
    'box, crate, cupboard, shelf, pile, carton, bag',
  ),
];

/** Amounts of stuff: 'cup of flour'. */
const STUFF: Record<string, string> = {
  cup: 'rye flour, brown sugar, bran, brown rice, oats, cocoa, warm water, sea salt, honey',
  pound: 'beef, nuts, coffee, grapes, goat cheese, clay, butter, wool, gravel',
  bag: 'cement, seed, soil, chips, compost, peanuts, popcorn, brown rice',
  bottle: 'juice, ginger ale, cold water, vinegar, shampoo, olive oil, lemonade, ink',
  liter: 'blue paint, goat milk, corn oil, fuel, syrup, rain water, cider, soup',
  slice: 'bread, cheese, pizza, ham, cake, toast, pie',
  gallon: 'yellow paint, diesel, salt water, whole milk, cider, glue',
  box: 'chalk, cereal, tea, pasta, nails, tissues, clips',
  meter: 'rope, cloth, ribbon, wire, fence, string, yarn',
  jar: 'jam, honey, pickles, sauce, glitter, mustard',
  ounce: 'silver, green tea, perfume, cream, spice, chocolate',
  sheet: 'blue paper, foil, plywood, cardboard, felt',
  spoon: 'cane sugar, rock salt, cocoa, nut oil, yeast, honey',
  page: 'homework, notes, reading, music, poetry',
};
export const STUFFS: readonly { readonly unit: string; readonly stuffs: readonly string[] }[] =
  Object.entries(STUFF).map(([unit, stuffs]) => ({ unit, stuffs: items(stuffs) }));

/** Groups of people, such as boys and girls, and the word for all of them. */
export const PEOPLE: readonly { readonly generic: string; readonly nouns: readonly string[] }[] = [
  { generic: 'children', nouns: ['older boy', 'younger boy', 'older girl', 'younger girl'] },
  { generic: 'kids', nouns: ['tall boy', 'tall girl', 'short boy', 'short girl'] },
  { generic: 'pupils', nouns: ['first grader', 'third grader', 'fourth grader', 'sixth grader'] },
  { generic: 'people', nouns: ['grown-up', 'teenager', 'toddler', 'baby'] },
  { generic: 'people', nouns: ['man', 'woman', 'teenager'] },
  { generic: 'visitors', nouns: ['teacher', 'student', 'parent', 'guest'] },
  { generic: 'artists', nouns: ['dancer', 'singer', 'musician', 'actor', 'clown'] },
  { generic: 'people', nouns: ['tourist', 'local', 'guide', 'driver'] },
  { generic: 'people', nouns: ['player', 'coach', 'fan', 'referee'] },
  { generic: 'workers', nouns: ['cook', 'waiter', 'cleaner', 'clerk', 'guard'] },
  { generic: 'people', nouns: ['sailor', 'soldier', 'farmer', 'hunter'] },
  { generic: 'members', nouns: ['new boy', 'new girl', 'grown man', 'grown woman'] },
];

/** Where things and people are, with the preposition. */
export const PLACES = items(
  'in the barn, in the garden, in the garage, in the kitchen, on the shelf, on the table, in the basement, in the attic, ' +
    'in the shop, at the market, in the warehouse, in the cellar, in the classroom, in the cupboard, on the porch, ' +
    'in the shed, in the tent, in the office, on the desk, in the window, in the van, on the truck, in the basket, in the chest',
);
export const GATHERINGS = items(
  'at the fair, in the theater, at the concert, on the ferry, on the train, in the museum, at the picnic, in the library, ' +
    'on the bus, at the pool, in the gym, at the beach, at the camp, in the hall, in the cinema, on the tram, at the circus, ' +
    'in the cafe, on the playground, at the festival, in the park, at the parade, in the choir, in the club',
);
export const SHOPS = items(
  'shop, store, market, bakery, mall, fair, kiosk, stall, supermarket, bookstore, flea market, corner store, farm stand',
);

/** Times in order; a problem takes some of one row. */
export const PERIODS: readonly (readonly string[])[] = [
  items('on monday, on tuesday, on wednesday, on thursday, on friday, on saturday, on sunday'),
  items('in the morning, at noon, in the afternoon, in the evening'),
  items('in january, in march, in april, in june, in july, in september, in october, in december'),
  items('in week one, in week two, in week three, in week four'),
  items('on the opening day, on the next day, on the day after that, on the last day'),
  items('yesterday, today'),
  items('the week before last, last week'),
  items('last month, this month'),
  items('last year, this year'),
  items('in the spring, in the summer, in the fall, in the winter'),
  items('in round one, in round two, in round three'),
  items('before lunch, after lunch, after dinner'),
  items('at home, at school, at the park, at the club'),
  items('during the first half, during the second half'),
  items('on the way there, on the way back'),
  items('at the first stop, at the second stop, at the third stop'),
];

/** What people do many of, in some time. */
interface Deed extends Verb {
  readonly noun: string;
}
export const DEEDS: readonly Deed[] = items(
  'read/read/story, read/read/chapter, ran/run/lap, ran/run/mile, swam/swim/lap, solved/solve/riddle, solved/solve/problem, ' +
    'did/do/pull-up, did/do/sit-up, wrote/write/poem, wrote/write/line, watched/watch/film, watched/watch/episode, ' +
    'scored/score/basket, won/win/point, scored/score/goal, walked/walk/mile, walked/walk/block, painted/paint/wall, painted/paint/fence, ' +
    'planted/plant/acorn, played/play/match, played/play/song, made/make/phone call, typed/type/word, drove/drive/mile, ' +
    'mowed/mow/lawn, washed/wash/car, washed/wash/window, sent/send/message, sent/send/parcel, took/take/photo, ' +
    'caught/catch/trout, saw/see/bird, saw/see/squirrel, counted/count/star, counted/count/truck, folded/fold/napkin, ' +
    'folded/fold/paper crane, ironed/iron/shirt, delivered/deliver/package, delivered/deliver/newspaper, fixed/fix/bike, ' +
    'built/build/birdhouse, carved/carve/spoon, climbed/climb/stair, practiced/practice/scale, learned/learn/word, ' +
    'drew/draw/map, stitched/stitch/patch, carried/carry/stone, wrapped/wrap/present, served/serve/meal, sang/sing/song, ' +
    'cycled/cycle/kilometer, hiked/hike/kilometer, jumped/jump/hurdle, dug/dig/hole, spent/spend/dollar, earned/earn/dollar, ' +
    'saved/save/dollar, sold/sell/ticket, used/use/minute, slept/sleep/hour, worked/work/hour, studied/study/hour',
).map((entry) => {
  const [past, base, noun] = entry.split('/') as [string, string, string];
  return { past, base, noun };
});

export const TIME_UNITS = items('day, week, month, hour, minute, game, class, trip, shift, season, lesson');
/** Numberless sentences before the story; {thing}, {relative} and {shop} stand for one of them. */
export const INTRODUCTIONS = items(
  '{0} likes {thing} very much, {0} is fond of {thing}, {0} is busy this week, {0} is having a party, the weather was fine, ' +
    '{0} keeps a list of all {thing}, {0} is cleaning the house, {0} is helping {0s} {relative}, it is {0s} birthday, ' +
    '{0} went out with {0s} {relative}, {0} is getting ready for a trip, {0} and {0s} {relative} talk about {thing}, ' +
    'school starts soon, {0} works at a {shop}, {0} wants to be careful this time, {0} had a long day, ' +
    '{0} is proud of {0s} {thing}, everybody in town knows {0}',
);

/** What happens to amounts of stuff. */
export const STUFF_SORT: Sort = sort(
  'items',
  'bag',
  'big',
  'bought/buy, got/get, ordered/order, received/receive, brought/bring',
  'used/use, sold/sell, gave away/give away, wasted/waste',
  'box',
);
