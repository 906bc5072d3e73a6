/**
 * Writes the reference part of docs/configuration.md, between two marks, from schemas/: a section
 * for every object that has keys of its own, a row for every key. No key or schema is named here,
 * so new ones appear by themselves.
 *
 * `--reference` also writes the API reference (api-docs.js). `--check` writes nothing, and fails if
 * the page is stale. A folder as argument is used instead of the project's.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './run.js';

const PAGE = 'docs/configuration.md';
const BEGIN =
  '<!-- Reference, written by scripts/docs.js: do not edit; change schemas/, then: npm run docs -->';
const END = '<!-- End of the reference -->';
const FILE_SCHEMA = 'bedrock';
const SUFFIX = '.schema.json';

const folder = path.resolve(process.argv.slice(2).find((argument) => !argument.startsWith('-')) ?? root);
const file = path.join(folder, PAGE);
const found = readFileSync(file, 'utf8');
const page = renewed(found);
if (!process.argv.includes('--check')) writeFileSync(file, page);
else if (page !== found) {
  console.error(`${PAGE} differs from schemas/: run "npm run docs"`);
  process.exitCode = 1;
}

if (process.argv.includes('--reference')) await import('./api-docs.js');

function renewed(text) {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${PAGE} lacks the marks "${BEGIN}" and "${END}"`);
  const sections = readSchemas().flatMap(sectionsOf);
  const titles = new Map(sections.map(({ node, title }) => [node, title]));
  const reference = sections.map((section) => sectionText(section, titles)).join('\n\n');
  return formatted(`${text.slice(0, begin)}${BEGIN}\n\n${reference}\n\n${text.slice(end)}`);
}

/** Wrapped as every page is. */
function formatted(text) {
  const tool = path.join(root, 'node_modules/oxfmt/bin/oxfmt');
  return execFileSync(process.execPath, [tool, '--stdin-filepath', PAGE], {
    cwd: root,
    input: text,
  }).toString();
}

/** The schemas: the configuration file's, then those of provider types, of backends, and of other files. */
function readSchemas() {
  return readdirSync(path.join(folder, 'schemas'))
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => ({
      schema: JSON.parse(readFileSync(path.join(folder, 'schemas', name), 'utf8')),
      ...subjectOf(name.slice(0, -SUFFIX.length)),
    }))
    .filter(({ schema }) => schema.properties !== undefined)
    .sort((a, b) => a.rank - b.rank || (a.title < b.title ? -1 : 1));
}

/**
 * What a schema describes. A backend or provider type has a folder of its own; all others are forms
 * of files.
 */
function subjectOf(name) {
  if (name === FILE_SCHEMA) return { rank: 0, title: 'The whole file', prefix: '', stands: '' };
  const isBackend = existsSync(path.join(folder, 'backends', name));
  if (!isBackend && !existsSync(path.join(folder, 'providers', name)))
    return { rank: 3, title: `File format ${code(name)}`, prefix: `File format ${code(name)}: `, stands: '' };
  const title = `${isBackend ? 'Backend' : 'Provider type'} ${code(name)}`;
  const owner = isBackend ? 'target' : 'provider';
  const stands = `Belongs in the \`config\` of a ${owner} whose \`type\` is ${code(name)}.`;
  return { rank: isBackend ? 2 : 1, title, prefix: `${title}: `, stands };
}

/**
 * One section for every object with keys, in the order in which they are found; an object that
 * occurs at two places has one.
 */
function sectionsOf({ schema, title, prefix, stands }) {
  const placesOf = new Map();
  const visit = (node, at) => {
    const known = placesOf.get(node);
    if (known !== undefined) return void known.push(at);
    placesOf.set(node, [at]);
    for (const [key, property] of Object.entries(node.properties)) {
      if ('x-ignored' in property) continue;
      const full = at === '' ? key : `${at}.${key}`;
      for (const [inner, where] of [
        [followed(property, schema), full],
        [followed(property.items, schema), `${full}[N]`],
      ]) {
        if (inner?.properties !== undefined) visit(inner, where);
      }
    }
  };
  visit(schema, '');
  return [...placesOf].map(([node, places]) => {
    const isWhole = node === schema;
    return {
      node,
      schema,
      title: isWhole ? title : prefix + places.map(code).join(', '),
      intro: isWhole ? `${prose(node.description)} ${stands}`.trim() : prose(node.description),
    };
  });
}

function followed(property, schema) {
  const reference = property?.$ref;
  if (reference === undefined) return property;
  const node = reference
    .replace(/^#\//, '')
    .split('/')
    .reduce((value, step) => value?.[step], schema);
  if (node === undefined) throw new Error(`the schema ${schema.$id} has no ${reference}`);
  return node;
}

function sectionText({ node, schema, title, intro }, titles) {
  const rows = [];
  const ignored = new Map();
  for (const [key, own] of Object.entries(node.properties)) {
    const property = { ...followed(own, schema), ...own };
    const { description, default: fallback, items, 'x-ignored': reason } = property;
    if (description === undefined) throw new Error(`${schema.$id}: the key ${key} has no description`);
    if (reason !== undefined) {
      ignored.set(reason, [...(ignored.get(reason) ?? []), code(key)]);
      continue;
    }
    const isRequired = node.required?.includes(key) === true;
    const each = limits(key, followed(items, schema) ?? {}).map(
      (limit) => `Each: ${limit[0].toLowerCase()}${limit.slice(1)}`,
    );
    rows.push([
      code(key),
      typeText(own, schema, titles),
      isRequired ? 'required' : fallback === undefined ? 'none' : valueText(key, fallback),
      [prose(description), ...limits(key, property), ...each].join(' '),
    ]);
  }
  const parts = [`### ${title}`, intro];
  if (rows.length > 0) parts.push(table([['key', 'type', 'default', 'meaning'], ...rows]));
  else if (ignored.size === 0) parts.push('It has no keys.');
  if (ignored.size > 0) {
    const reasons = [...ignored].map(([reason, keys]) => `- ${prose(reason)}: ${keys.join(', ')}`);
    parts.push('Keys of Mochi that have no effect here, accepted with a warning:', reasons.join('\n'));
  }
  return parts.join('\n\n');
}

/** The type in words, those of an array's entries in the plural; objects that have a section lead to it. */
function typeText(own, schema, titles, plural = '') {
  const node = followed(own, schema);
  const property = { ...node, ...own };
  const alternatives = property.anyOf ?? property.oneOf;
  if (alternatives !== undefined)
    return alternatives.map((one) => typeText(one, schema, titles, plural)).join(' or ');
  const { type = typeof property.enum?.[0], items, additionalProperties: values } = property;
  const textOf = (one) => {
    if (one === 'undefined') return 'any';
    const name = one + plural;
    if (one === 'array' && items !== undefined) return `${name} of ${typeText(items, schema, titles, 's')}`;
    if (one !== 'object') return name;
    if (titles.has(node)) return `[${name}](#${anchor(titles.get(node))})`;
    const isOfOneType = typeof values?.type === 'string';
    return isOfOneType ? `${name} of ${typeText(values, schema, titles, 's')}` : name;
  };
  return [type].flat().map(textOf).join(' or ');
}

/** The restrictions of a value, a sentence for each. */
function limits(key, property) {
  const { enum: values, pattern, 'x-allowed': allowed } = property;
  if (values !== undefined) return [`One of ${values.map((value) => code(String(value))).join(', ')}.`];
  if (allowed !== undefined) return [`Must be ${prose(allowed)}.`];
  const text = (value) => valueText(key, value, String);
  return [
    range(property.minimum, property.maximum, text),
    length(property.minLength, property.maxLength, 'characters'),
    length(property.minItems, property.maxItems, 'entries'),
    pattern === undefined ? '' : `Must match ${code(pattern)}.`,
  ].filter(Boolean);
}

function length(least, most, unit) {
  if (least === 1 && most === undefined) return 'Not empty.';
  return range(least, most, String).replace('.', ` ${unit}.`);
}

function range(least, most, text) {
  if (least !== undefined && most !== undefined) return `From ${text(least)} to ${text(most)}.`;
  if (least !== undefined) return `At least ${text(least)}.`;
  return most === undefined ? '' : `At most ${text(most)}.`;
}

/** A value, also in a larger unit if it is a number of bytes. */
function valueText(key, value, show = code) {
  if (value === Number.MAX_SAFE_INTEGER) return '2^53 - 1';
  const text = show(JSON.stringify(value));
  if (!/(^|_)(bytes|size)$/.test(key) || !Number.isInteger(value) || value === 0) return text;
  const units = ['', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = units.findLastIndex((_unit, index) => value % 1024 ** index === 0);
  return power === 0 ? text : `${text} (${value / 1024 ** power} ${units[power]})`;
}

function table(rows) {
  const widths = rows[0].map((_cell, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const [head, ...rest] = rows.map((row) => line(row.map((cell, column) => cell.padEnd(widths[column]))));
  return [head, line(widths.map((width) => '-'.repeat(width))), ...rest].join('\n');
}

/**
 * A description, with quoted text and all technical words (keys, addresses, error codes) as code.
 */
function prose(text) {
  return text.replaceAll(/"([^"]+)"|([^\s"`(]+)/g, (whole, quoted, word) => {
    if (quoted !== undefined) return code(quoted);
    const [, bare, end] = /^(.*?)([.,;:)]*)$/.exec(word);
    return /[_<>*|[\]@=\\]|:\/|\w[.:]\w|^--|^\/.|^[A-Z]{8}/.test(bare) ? code(bare) + end : whole;
  });
}

function code(text) {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

/** The anchor of a heading, as GitHub makes it. */
function anchor(title) {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}
