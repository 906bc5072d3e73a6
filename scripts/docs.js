/**
 * Writes the reference part of docs/configuration.md from schemas/. `--check` writes nothing and fails if the page is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './run.js';

const PAGE = 'docs/configuration.md';
const BEGIN = '<!-- Written by scripts/docs.js from schemas/; change the schemas, then `npm run docs`. -->';
const END = '<!-- End of the reference. -->';

/** Sections of the page: where in which schema each stands, and what the keys are prefixed with. */
const SECTIONS = [
  { title: 'The whole file', file: 'bedrock', at: [], prefix: '' },
  { title: 'margo', file: 'bedrock', at: ['$defs', 'margo'], prefix: 'margo.' },
  { title: 'An execution pool', file: 'bedrock', at: ['$defs', 'executionPool'], prefix: '' },
  { title: 'An execution stream', file: 'bedrock', at: ['$defs', 'executionStream'], prefix: '' },
  { title: 'bedrock', file: 'bedrock', at: ['$defs', 'bedrock'], prefix: 'bedrock.' },
  { title: 'bedrock.http', file: 'bedrock', at: ['$defs', 'http'], prefix: 'bedrock.http.' },
  { title: 'A provider', file: 'bedrock', at: ['$defs', 'provider'], prefix: '' },
  { title: 'config of a warabi provider', file: 'warabi', at: [], prefix: '' },
  { title: 'config of a memory target', file: 'memory', at: [], prefix: '' },
];

/** The page as it should be. */
export function currentPage() {
  const page = readFileSync(path.join(root, PAGE), 'utf8');
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${PAGE} lacks the marks around its reference`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${reference()}\n${page.slice(end)}`;
}

function reference() {
  return SECTIONS.map(({ title, file, at, prefix }) => {
    const whole = JSON.parse(readFileSync(path.join(root, `schemas/${file}.schema.json`), 'utf8'));
    const schema = at.reduce((value, key) => value[key], whole);
    const rows = Object.entries(schema.properties).flatMap(([key, property]) =>
      rowsOf(prefix + key, property, whole, schema),
    );
    const used = rows.filter(({ ignored }) => !ignored);
    const ignored = rows.filter((row) => row.ignored).map(({ name }) => `\`${name}\``);
    return [
      `### ${title}`,
      '',
      schema.description,
      '',
      '| key | type | default | meaning |',
      '| --- | --- | --- | --- |',
      ...used.map(({ name, type, fallback, text }) => `| \`${name}\` | ${type} | ${fallback} | ${text} |`),
      ...(ignored.length > 0
        ? ['', `Accepted with a warning, as they mean nothing here: ${ignored.join(', ')}.`]
        : []),
      '',
    ].join('\n');
  }).join('\n');
}

/** One row; objects that have no section of their own give one for each of their keys too. */
function rowsOf(name, property, whole, parent) {
  const meant = resolve(property, whole);
  const row = {
    name,
    type: typeOf(meant),
    fallback: fallbackOf(name, meant, parent),
    text: escape(meant.description ?? ''),
    ignored: 'x-ignored' in meant,
  };
  const isInline = meant.properties !== undefined && property.$ref === undefined && !row.ignored;
  const inner = isInline
    ? Object.entries(meant.properties).flatMap(([key, value]) =>
        rowsOf(`${name}.${key}`, value, whole, meant),
      )
    : [];
  return [row, ...inner];
}

function resolve(property, whole) {
  if (property.$ref === undefined) return property;
  const meant = property.$ref
    .slice(2)
    .split('/')
    .reduce((value, key) => value[key], whole);
  return { ...meant, ...property };
}

function typeOf({ type, enum: values, minimum, maximum, items }) {
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(', ');
  const types = [type]
    .flat()
    .map((one) => (one === 'array' && items?.type === 'string' ? 'array of strings' : one));
  const largest = maximum === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : maximum;
  const range =
    maximum === undefined ? (minimum === undefined ? '' : `, from ${minimum}`) : `, ${minimum} to ${largest}`;
  return `${types.join(' or ')}${range}`;
}

function fallbackOf(name, property, parent) {
  if (parent.required?.includes(name.split('.').at(-1))) return 'required';
  const { default: value } = property;
  if (value === undefined || (typeof value === 'object' && Object.keys(value).length === 0)) return '';
  return `\`${JSON.stringify(value)}\``;
}

function escape(text) {
  return text.replaceAll('|', '\\|').replaceAll('<', '\\<');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = currentPage();
  if (!process.argv.includes('--check')) writeFileSync(path.join(root, PAGE), page);
  else if (page !== readFileSync(path.join(root, PAGE), 'utf8')) {
    console.error(`${PAGE} is stale: run npm run docs`);
    process.exitCode = 1;
  }
}
