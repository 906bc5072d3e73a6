/**
 * Rules of names, where a target has them: one region a name and one name a region, a name wherever
 * an ID is taken, and names in the order of their bytes, in pages, also while they come and go.
 * Elsewhere every call of names is NOT_SUPPORTED.
 */
import { MAX_NAME_BYTES, type NamesOptions, type NamesPage, type RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import {
  callsOn,
  changesNothing,
  counts,
  Gate,
  heldBack,
  inFlight,
  listAll,
  pattern,
  refusesAllCalls,
  rejects,
  sameBytes,
} from './assertions.js';
import { holds, is, sameFigures, sameList } from './findings.js';
import type { Rules } from './rules.js';

/** What no region may be called. */
export const WRONG_NAMES: readonly unknown[] = [
  '',
  'x'.repeat(MAX_NAME_BYTES + 1),
  'é'.repeat(MAX_NAME_BYTES / 2 + 1),
  '\ud800',
  'half \udc00 of a pair',
  '0123456789abcdef0123456789abcdef',
  '0123456789ABCDEF0123456789ABCDEF',
];

/** What a region may be called, each another name than all others, in the order of their bytes. */
export const NAMES: readonly string[] = [
  '\0',
  ' ',
  '%2F',
  '..',
  '/',
  '//',
  '0123456789abcdef0123456789abcde',
  '0123456789abcdef0123456789abcdef0',
  'A',
  'a',
  'a/',
  'a/b',
  'a\0',
  'a\n',
  'caf\u0065\u0301',
  'caf\u00e9',
  'x'.repeat(MAX_NAME_BYTES),
  '\u00c5',
  '\u212b',
  // In UTF-16 the second comes before the first.
  '\uffff',
  '\u{10000}',
  '\u{10ffff}',
].toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));

/** Every name, with its ID, by pages of `limit`. */
export async function allNames(target: Target, options: NamesOptions = {}): Promise<NamesPage> {
  const names = [];
  const prefixes = [];
  let { after } = options;
  for (let pages = 0; ; pages++) {
    const page = await target.names({ ...options, ...(after !== undefined && { after }) });
    names.push(...page.names);
    prefixes.push(...page.prefixes);
    if (page.next === undefined) return { names, prefixes };
    holds(
      page.next !== after,
      'next of a page of names',
      page.next,
      'another name than that the page began after',
    );
    holds(pages < 10_000, 'paging through names', `no end after ${pages} pages`, 'an end');
    after = page.next;
  }
}

async function namesIn(target: Target, options: NamesOptions = {}): Promise<string[]> {
  return (await allNames(target, options)).names.map(({ name }) => name);
}

function makeNamed(target: Target, names: readonly string[]): Promise<RegionId[]> {
  return Promise.all(names.map((name, at) => target.createAndWrite(pattern(at % 50, at), { name })));
}

const unnamedRules: Rules = (rule) => {
  rule('answers every call of names with NOT_SUPPORTED, and changes nothing', async ({ target }) => {
    const id = await target.createAndWrite(pattern(64));
    const next = (): Promise<unknown> => target.mapNames()[Symbol.asyncIterator]().next();
    await changesNothing(target, async () => {
      await rejects(target.put('name', pattern(8)), 'NOT_SUPPORTED', 'put');
      await rejects(target.find('name'), 'NOT_SUPPORTED', 'find');
      await rejects(target.rename(id, 'name'), 'NOT_SUPPORTED', 'rename');
      await rejects(target.names(), 'NOT_SUPPORTED', 'names');
      await rejects(next(), 'NOT_SUPPORTED', 'the first step of mapNames');
      await rejects(target.create(8, { name: 'name' }), 'NOT_SUPPORTED', 'create with a name');
      const named = target.createAndWrite(pattern(8), { name: 'name' });
      await rejects(named, 'NOT_SUPPORTED', 'createAndWrite with a name');
      await rejects(target.read('name', 0, 8), 'NOT_SUPPORTED', 'a read by a name');
    });
  });
};

export const nameRules: Rules = (rule, setting) => {
  if (!setting.capabilities.named) return unnamedRules(rule, setting);

  rule('makes regions with names, and tells them by stat, find and list', async ({ target }) => {
    const made = [
      await target.create(10, { name: 'created' }),
      await target.createAndWrite(pattern(20), { name: 'written' }),
      await target.createAndWrite(pattern(30), { name: 'durable', persist: true }),
      await target.createAndWrite({ size: 40, source: [pattern(40)] }, { name: 'of a source' }),
    ];
    const unnamed = await target.create(50);
    const names = ['created', 'written', 'durable', 'of a source'];
    for (const [at, name] of names.entries()) {
      const id = made[at] as RegionId;
      const expected = { name, size: 10 * (at + 1), createdAt: (await target.stat(id)).createdAt };
      const found = await target.find(name);
      sameFigures(found, expected, `what find gives for "${name}"`);
      is(String(found.id), String(id), `the ID that find gives for "${name}"`);
      holds(found.id instanceof RegionId, 'the ID that find gives', found.id, 'a RegionId');
      sameFigures(await target.stat(id), expected, 'what stat gives by the ID');
      sameFigures(await target.stat(name), expected, 'what stat gives by the name');
    }
    const listed = new Map((await listAll(target)).map((stat) => [String(stat.id), stat.name]));
    for (const [at, id] of made.entries()) is(listed.get(String(id)), names[at], 'the name that list gives');
    is(listed.get(String(unnamed)), undefined, 'the name that list gives of a region without one');
    is((await target.stat(unnamed)).name, undefined, 'the name that stat gives of a region without one');
  });

  rule('takes a name wherever it takes an ID', async ({ target }) => {
    const id = await target.createAndWrite(pattern(16), { name: 'region' });
    for (const [name, call] of callsOn(target, 'region')) {
      if (name === 'erase') continue;
      await call();
    }
    await target.write('region', 4, pattern(8, 2), { persist: true });
    sameBytes(await target.read(id, 4, 8), pattern(8, 2), 'the region, written by its name');
    await target.erase('region');
    await refusesAllCalls(target, id, 'REGION_NOT_FOUND', 'the ID of a region erased by its name');
    await refusesAllCalls(target, 'region', 'REGION_NOT_FOUND', 'the name of an erased region');
  });

  rule('takes every name of at most 1024 bytes of UTF-8, byte by byte as it is', async ({ target }) => {
    const ids = await makeNamed(target, NAMES);
    await counts(target, NAMES.length, 'of as many names');
    for (const [at, name] of NAMES.entries()) {
      const found = await target.find(name);
      is(found.name, name, 'the name that find gives');
      is(String(found.id), String(ids[at]), `the region of the name ${JSON.stringify(name.slice(0, 40))}`);
    }
    sameList(await namesIn(target), NAMES, 'all names, in the order of their bytes');
  });

  rule('refuses wrong names with INVALID_ARGUMENT in every call', async ({ target }) => {
    const id = await target.createAndWrite(pattern(16), { name: 'right' });
    await changesNothing(target, async () => {
      for (const wrong of [...WRONG_NAMES, 5, null, {}, Buffer.from('name')]) {
        const name = wrong as string;
        const what = `the name ${JSON.stringify(String(wrong).slice(0, 40))}`;
        await rejects(target.put(name, pattern(8)), 'INVALID_ARGUMENT', `put with ${what}`);
        await rejects(target.find(name), 'INVALID_ARGUMENT', `find with ${what}`);
        if (wrong !== null) await rejects(target.rename(id, name), 'INVALID_ARGUMENT', `rename to ${what}`);
        await rejects(target.create(8, { name }), 'INVALID_ARGUMENT', `create with ${what}`);
        const written = target.createAndWrite(pattern(8), { name });
        await rejects(written, 'INVALID_ARGUMENT', `createAndWrite with ${what}`);
        await rejects(target.read(name, 0, 0), 'INVALID_ARGUMENT', `read with ${what}`);
        await rejects(target.erase(name), 'INVALID_ARGUMENT', `erase with ${what}`);
      }
    });
  });

  rule('never takes the text of an ID for the ID', async ({ target }) => {
    const id = await target.createAndWrite(pattern(16));
    await rejects(target.read(id.toString(), 0, 8), 'INVALID_ARGUMENT', 'a read by the hex of an ID');
    await rejects(target.find(id.toString()), 'INVALID_ARGUMENT', 'find of the hex of an ID');
  });

  rule('answers calls on a name that no region has with REGION_NOT_FOUND', async ({ target }) => {
    await target.create(16, { name: 'there' });
    await refusesAllCalls(target, 'not there', 'REGION_NOT_FOUND', 'a name that no region has');
    await rejects(target.find('not there'), 'REGION_NOT_FOUND', 'find of a name that no region has');
    await rejects(target.rename('not there', 'x'), 'REGION_NOT_FOUND', 'rename of a name that no region has');
  });

  rule('refuses to make a region under a taken name with NAME_TAKEN, and changes nothing', async (bench) => {
    const { target } = bench;
    await target.createAndWrite(pattern(16), { name: 'taken' });
    await changesNothing(target, async () => {
      await rejects(target.create(8, { name: 'taken' }), 'NAME_TAKEN', 'create under a taken name');
      const written = target.createAndWrite(pattern(8), { name: 'taken' });
      await rejects(written, 'NAME_TAKEN', 'createAndWrite under a taken name');
    });
  });

  rule('gives a name to one of many that ask for it at once', async ({ target }) => {
    const calls = Array.from({ length: 8 }, (_, at) =>
      target.createAndWrite(pattern(8, at), { name: 'one' }),
    );
    const made = await Promise.allSettled(calls);
    const winners = made.flatMap((each) => (each.status === 'fulfilled' ? [String(each.value)] : []));
    is(winners.length, 1, 'the number of regions made under one name');
    for (const call of calls.filter((_, at) => made[at]?.status === 'rejected'))
      await rejects(call, 'NAME_TAKEN', 'one of those that came too late');
    is(String((await target.find('one')).id), winners[0], 'the region of the name');
    await counts(target, 1, 'after all of them');
  });

  rule('has a name free again when its region is erased', async ({ target }) => {
    const first = await target.create(8, { name: 'again' });
    await target.erase(first);
    await rejects(target.find('again'), 'REGION_NOT_FOUND', 'find after the erase');
    const second = await target.create(9, { name: 'again' });
    is(String((await target.find('again')).id), String(second), 'the region of the name');
  });

  rule('has no name there before the source of its contents has ended', async (bench) => {
    const { target } = bench;
    const gate = new Gate();
    const contents = { size: 5, source: heldBack([pattern(5)], gate) };
    const created = inFlight(target.createAndWrite(contents, { name: 'slow' }));
    try {
      await rejects(target.find('slow'), 'REGION_NOT_FOUND', 'find while the source is in flight');
      sameList(await namesIn(target), [], 'the names while the source is in flight');
      // Who ends first has it.
      await target.create(7, { name: 'slow' });
    } finally {
      gate.open();
    }
    await rejects(created, 'NAME_TAKEN', 'the slow one, whose name was taken meanwhile');
    is((await target.find('slow')).size, 7, 'the size of the region of the name');
    await bench.settled(() => counts(target, 1, 'after both'));
  });

  // ---- rename ----

  rule('gives, changes and takes away names; ID, time and contents stay', async ({ target }) => {
    const id = await target.createAndWrite(pattern(100));
    const { createdAt } = await target.stat(id);
    const check = async (name: string | undefined, ref: RegionRef): Promise<void> => {
      const stat = await target.stat(ref);
      sameFigures(stat, { name, size: 100, createdAt }, 'what stat gives after rename');
      is(String(stat.id), String(id), 'the ID after rename');
      sameBytes(await target.read(ref, 0, 100), pattern(100), 'the contents after rename');
    };
    await target.rename(id, 'first');
    await check('first', 'first');
    await target.rename('first', 'second');
    await check('second', 'second');
    await rejects(target.find('first'), 'REGION_NOT_FOUND', 'find of the old name');
    await target.rename(id, 'x'.repeat(MAX_NAME_BYTES));
    await check('x'.repeat(MAX_NAME_BYTES), id);
    await target.rename(id, 'y');
    await target.rename(id, null);
    await check(undefined, id);
    await rejects(target.find('y'), 'REGION_NOT_FOUND', 'find of a name that was taken away');
    await target.rename(id, null);
    sameList(await namesIn(target), [], 'the names in the end');
    await counts(target, 1, 'in the end');
  });

  rule('keeps a name that a region is renamed to and has already', async ({ target }) => {
    const id = await target.createAndWrite(pattern(10), { name: 'same' });
    await target.rename('same', 'same');
    await target.rename(id, 'same', { replace: true });
    is(String((await target.find('same')).id), String(id), 'the region of the name');
    sameBytes(await target.read('same', 0, 10), pattern(10), 'its contents');
  });

  rule('refuses to rename to a taken name with NAME_TAKEN, unless it is to replace', async ({ target }) => {
    const old = await target.createAndWrite(pattern(10, 1), { name: 'current' });
    const id = await target.createAndWrite(pattern(10, 2), { name: 'next' });
    await changesNothing(target, async () => {
      await rejects(target.rename(id, 'current'), 'NAME_TAKEN', 'rename to a taken name');
    });
    await target.rename('next', 'current', { replace: true });
    is(String((await target.find('current')).id), String(id), 'the region of the name');
    sameBytes(await target.read('current', 0, 10), pattern(10, 2), 'the contents under the name');
    await refusesAllCalls(target, old, 'REGION_NOT_FOUND', 'the region that was replaced');
    await rejects(target.find('next'), 'REGION_NOT_FOUND', 'find of the old name');
    await counts(target, 1, 'after a replacement');
  });

  rule('refuses to rename an erased region, and options of the wrong type', async ({ target }) => {
    const id = await target.create(10);
    await target.erase(id);
    await rejects(target.rename(id, 'x'), 'REGION_NOT_FOUND', 'rename of an erased region');
    const other = await target.create(10);
    for (const options of [null, 5, { replace: 'yes' }])
      await rejects(
        target.rename(other, 'x', options as object),
        'INVALID_ARGUMENT',
        'rename with wrong options',
      );
    await rejects(target.find('x'), 'REGION_NOT_FOUND', 'find of a name never given');
  });

  // Where calls travel, one that was made later may begin earlier.
  if (!setting.isRemote)
    rule('means the region that has the name when the call begins', async ({ target }) => {
      await target.createAndWrite(pattern(1000, 1), { name: 'moving' });
      const [read] = await Promise.all([
        target.read('moving', 0, 1000),
        target.createAndWrite(pattern(1000, 2), { name: 'other' }),
        target.rename('moving', 'elsewhere'),
      ]);
      sameBytes(read, pattern(1000, 1), 'what a read gives that began before the rename');
      await target.rename('other', 'moving');
      sameBytes(await target.read('moving', 0, 1000), pattern(1000, 2), 'what the name means afterwards');
    });

  // ---- pages ----

  rule('gives every name exactly once, in the order of bytes, over pages of any size', async ({ target }) => {
    const ids = await makeNamed(target, NAMES);
    await target.create(5);
    for (const limit of [1, 3, NAMES.length - 1, NAMES.length, 1000]) {
      const { names, prefixes } = await allNames(target, { limit });
      sameList(
        names.map(({ name }) => name),
        NAMES,
        `the names by pages of ${limit}`,
      );
      sameList(prefixes, [], 'the prefixes where there is no delimiter');
      for (const [at, { id, size, createdAt }] of names.entries()) {
        is(String(id), String(ids[at]), 'the ID beside a name');
        const stat = await target.stat(id);
        sameFigures(
          { size, createdAt },
          { size: stat.size, createdAt: stat.createdAt },
          'what is beside a name',
        );
      }
    }
    const page = await target.names({ limit: 4 });
    is(page.names.length, 4, 'the length of a full page');
    is(page.next, NAMES[3], 'next of a page that others follow, which is its last name');
    is((await target.names({ limit: NAMES.length })).next, undefined, 'next of the last page');
  });

  rule('gives the names of a prefix only, byte by byte', async ({ target }) => {
    await makeNamed(target, NAMES);
    for (const prefix of ['a', 'a/', 'A', 'caf', 'caf\u00e9', '\u{10000}', '', 'nothing', 'x'.repeat(900)]) {
      const expected = NAMES.filter((name) => name.startsWith(prefix));
      sameList(
        await namesIn(target, { prefix }),
        expected,
        `the names of the prefix ${JSON.stringify(prefix)}`,
      );
      sameList(await namesIn(target, { prefix, limit: 1 }), expected, 'the same by pages of 1');
    }
  });

  rule('begins after any text, whether or not it is a name', async ({ target }) => {
    await makeNamed(target, NAMES);
    for (const after of [...NAMES, 'a/a', 'zzz', 'caf', '\u{10ffff}z']) {
      const expected = NAMES.filter((name) => Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0);
      sameList(
        await namesIn(target, { after }),
        expected,
        `the names after ${JSON.stringify(after.slice(0, 40))}`,
      );
    }
    const names = await namesIn(target, { prefix: 'a/', after: 'a' });
    sameList(names, ['a/', 'a/b'], 'the names of a prefix after a text before it');
    sameList(
      await namesIn(target, { prefix: 'a/', after: 'b' }),
      [],
      'the names of a prefix after one behind it',
    );
  });

  rule('groups names by a delimiter behind the prefix', async ({ target }) => {
    await makeNamed(target, ['a', 'run/1/x', 'run/1/y', 'run/2', 'run/2/z', 'run/', 'runs', 'é/1', 'é/2']);
    const tree = async (options: NamesOptions): Promise<string[]> => {
      const { names, prefixes } = await allNames(target, options);
      return [...names.map(({ name }) => name), ...prefixes.map((prefix) => `+${prefix}`)];
    };
    for (const limit of [1, 2, 100]) {
      const [top, runs] = [
        ['a', 'runs', '+run/', '+é/'],
        ['run/', 'run/2', '+run/1/', '+run/2/'],
      ];
      sameList(await tree({ delimiter: '/', limit }), top, `the top by pages of ${limit}`);
      sameList(
        await tree({ delimiter: '/', prefix: 'run/', limit }),
        runs,
        `below run/ by pages of ${limit}`,
      );
      const others = ['a', 'run/', 'run/2', 'run/2/z', 'runs', 'é/2', '+run/1', '+é/1'];
      sameList(await tree({ delimiter: '/1', limit }), others, `grouped by /1 by pages of ${limit}`);
    }
    const first = await target.names({ delimiter: '/', limit: 2 });
    is(first.names.length + first.prefixes.length, 2, 'names and prefixes of a page of 2');
    sameList(await tree({ delimiter: '/', after: 'run/' }), ['runs', '+é/'], 'what follows a common prefix');
  });

  rule('refuses options of names that are wrong with INVALID_ARGUMENT', async ({ target }) => {
    await target.create(5, { name: 'a' });
    const wrong: unknown[] = [null, 5, 'a', { limit: 0 }, { limit: 1.5 }, { prefix: 5 }, { after: {} }];
    for (const options of [...wrong, { delimiter: '' }, { delimiter: 7 }, { prefix: '\ud800' }])
      await rejects(
        target.names(options as NamesOptions),
        'INVALID_ARGUMENT',
        `names(${JSON.stringify(options)})`,
      );
  });

  rule('misses no name that stays, and gives none twice, while others come and go', async ({ target }) => {
    const staying = Array.from({ length: 20 }, (_, at) => `name ${String(at).padStart(2, '0')}`);
    await makeNamed(target, staying);
    const seen: string[] = [];
    let after: string | undefined;
    for (let round = 0; ; round++) {
      const page = await target.names({ limit: 3, ...(after !== undefined && { after }) });
      seen.push(...page.names.map(({ name }) => name));
      after = page.next;
      if (after === undefined) break;
      // Before and behind the place, and in the place of others.
      await target.create(1, { name: `name 0${round}a` });
      await target.create(1, { name: `zz ${round}` });
      await target.rename(staying[round] as string, null);
      await target.create(1, { name: staying[round] as string });
      holds(round < 60, 'paging', `no end after ${round} pages`, 'an end');
    }
    is(new Set(seen).size, seen.length, 'the number of different names among those given');
    const missing = staying.filter((name) => !seen.includes(name));
    sameList(missing, [], 'the names that were there all the time and not given');
  });
};
