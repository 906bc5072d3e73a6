/**
 * Writes changes of a configuration into the text that it was read from. Only what has changed is
 * touched: comments, short keys and the order of keys stay as they are. The caller must check the
 * result, since a text can be written in ways that this code does not follow.
 */
import { isDeepStrictEqual } from 'node:util';
import * as jsonc from 'jsonc-parser';
import type { BedrockConfig, ProviderConfig } from '../../schemas/generated/bedrock.js';
import { plainOf } from '../base/plain.js';
import { PRIMARY_POOL } from './pools.js';

const WHOLE = { values: Infinity, characters: Infinity, depth: 100 };

/** An entry of a list that is known by its name. */
type Named = Readonly<Record<string, unknown>> & { readonly name?: string };

export interface FileChange {
  /** The configuration of the text, resolved. */
  readonly before: BedrockConfig;
  /** The configuration that the text is to have, resolved. */
  readonly after: BedrockConfig;
  /** Whether to write out what follows from positions: names, ids, and references to execution pools. */
  readonly isPinned: boolean;
}

/** @returns the text with the libraries, execution pools, execution streams and providers of `after` */
export function editedText(text: string, { before, after, isPinned }: FileChange): string {
  const edited = new EditedText(text);
  const pools = ['margo', 'argobots', 'pools'];
  const streams = ['margo', 'argobots', 'xstreams'];
  if (isPinned) {
    edited.pin(pools, before.margo?.argobots?.pools ?? [], ['name']);
    edited.pin(streams, before.margo?.argobots?.xstreams ?? [], ['name', 'scheduler']);
    edited.pin(['providers'], before.providers ?? [], ['name', 'provider_id', 'pool']);
    for (const [section, key] of [
      ['margo', 'rpc_pool'],
      ['margo', 'progress_pool'],
      ['bedrock', 'pool'],
    ] as const)
      edited.replace([section, key], (before as Record<string, Named | undefined>)[section]?.[key]);
    for (const section of ['abt_io', 'mona'] as const) edited.pin([section], before[section] ?? [], ['pool']);
  }
  edited.libraries(before.libraries, after.libraries);
  const listed = (config: BedrockConfig): readonly Named[] => entriesOf(config.margo?.argobots?.pools);
  // The list of a resolved configuration has the pool that always exists, even if the text does
  // not.
  const primary = listed(before).findIndex(({ name }) => name === PRIMARY_POOL);
  const isWritten = primary < edited.lengthOf(pools);
  const written = (config: BedrockConfig): readonly Named[] =>
    listed(config).filter(({ name }) => isWritten || name !== PRIMARY_POOL);
  edited.list(pools, written(before), written(after));
  edited.list(
    streams,
    entriesOf(before.margo?.argobots?.xstreams),
    entriesOf(after.margo?.argobots?.xstreams),
  );
  edited.list(['providers'], entriesOf(before.providers), entriesOf(after.providers));
  return edited.text;
}

function entriesOf(list: readonly object[] = []): readonly Named[] {
  return list as readonly Named[];
}

class EditedText {
  readonly #format: jsonc.FormattingOptions;

  constructor(public text: string) {
    const [, indent = '  '] = /^([ \t]+)\S/m.exec(text) ?? [];
    this.#format = {
      insertSpaces: !indent.startsWith('\t'),
      tabSize: indent.startsWith('\t') ? 1 : indent.length,
      eol: text.includes('\r\n') ? '\r\n' : '\n',
    };
  }

  lengthOf(place: readonly string[]): number {
    const node = this.#node(this.#written(place));
    return node?.type === 'array' ? (node.children ?? []).length : 0;
  }

  /** Changes a list of named entries to another one. Entries that stay keep their order. */
  list(place: readonly string[], before: readonly Named[], after: readonly Named[]): void {
    const left = [...before];
    for (let at = left.length - 1; at >= 0; at--) {
      if (after.some(({ name }) => name === left[at]?.name)) continue;
      this.#remove(this.#written([...place, at]));
      left.splice(at, 1);
    }
    for (const [at, entry] of after.entries()) {
      const same = left[at];
      if (same?.name === entry.name) this.#entry([...place, at], same ?? {}, entry);
      else {
        this.#insert(place, at, brief(entry));
        left.splice(at, 0, entry);
      }
    }
  }

  libraries(before: BedrockConfig['libraries'] = [], after: BedrockConfig['libraries'] = []): void {
    const known = new Set(Object.values(before));
    const isList = Array.isArray(after);
    for (const [key, library] of Object.entries(after)) {
      if (known.has(library)) continue;
      if (isList) this.#insert(['libraries'], this.lengthOf(['libraries']), library);
      else this.#set(this.#written(['libraries', key]), library);
    }
  }

  /** Writes out members that the text leaves to be derived. */
  pin(place: readonly string[], entries: readonly object[], keys: readonly string[]): void {
    const count = this.lengthOf(place);
    for (const [at, entry] of entries.slice(0, count).entries())
      for (const key of keys) {
        const value = (entry as Named)[key];
        if (value !== undefined) this.#set(this.#written([...place, at, key]), value);
      }
  }

  /** Sets a value if the text has one. */
  replace(place: readonly string[], value: unknown): void {
    const written = this.#written(place);
    if (value !== undefined && this.#node(written) !== undefined) this.#set(written, value);
  }

  #entry(place: readonly (string | number)[], before: Named, after: Named): void {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const [old, present] = [before[key], after[key]].map((value) => plainOf(value, WHOLE));
      if (isDeepStrictEqual(old, present)) continue;
      const at = [...place, key];
      if (present === undefined) this.#remove(this.#written(at));
      else if (key === 'dependencies' && isMap(old) && isMap(present)) this.#entry(at, old, present);
      else this.#set(this.#written(at), present);
    }
  }

  #insert(place: readonly string[], at: number, value: unknown): void {
    const written = this.#written(place);
    if (this.#node(written)?.type === 'array')
      this.#apply(
        jsonc.modify(this.text, [...written, at], value, {
          formattingOptions: this.#format,
          isArrayInsertion: true,
        }),
      );
    else this.#set(written, [value]);
  }

  #set(written: jsonc.JSONPath, value: unknown): void {
    this.#apply(jsonc.modify(this.text, written, value, { formattingOptions: this.#format }));
  }

  #remove(written: jsonc.JSONPath): void {
    if (this.#node(written) !== undefined) this.#set(written, undefined);
  }

  #apply(edits: jsonc.Edit[]): void {
    this.text = jsonc.applyEdits(this.text, edits);
  }

  #node(written: jsonc.JSONPath): jsonc.Node | undefined {
    const tree = jsonc.parseTree(this.text, [], { allowTrailingComma: true });
    return tree && jsonc.findNodeAtLocation(tree, written);
  }

  /**
   * The keys under which the text has a value, which may be short keys; if it has none, the keys
   * that it would get.
   */
  #written(place: readonly (string | number)[]): jsonc.JSONPath {
    const tree = jsonc.parseTree(this.text, [], { allowTrailingComma: true });
    return tree === undefined ? [...place] : furthest(tree, place);
  }
}

/** Follows a place into a text as far as it goes; the rest is one short key. */
function furthest(node: jsonc.Node, place: readonly (string | number)[]): jsonc.JSONPath {
  const [first] = place;
  if (first === undefined) return [];
  if (typeof first === 'number') {
    const child = node.type === 'array' ? node.children?.[first] : undefined;
    return [first, ...(child === undefined ? place.slice(1) : furthest(child, place.slice(1)))];
  }
  let found: jsonc.JSONPath | undefined;
  for (const { children: [key, value] = [] } of node.type === 'object' ? (node.children ?? []) : []) {
    const steps = String(key?.value).split('.');
    if (value === undefined || !steps.every((step, at) => step === place[at])) continue;
    const path = [String(key?.value), ...furthest(value, place.slice(steps.length))];
    // Of several keys with the same beginning, the one that covers most of the place.
    if (found === undefined || reaches(value, path.slice(1)) > 0) found = path;
  }
  if (found !== undefined) return found;
  const names = place.filter((step) => typeof step === 'string');
  // A new key: one short key at the top if the text writes its sections that way; otherwise nested
  // keys.
  return names.length === place.length && node.parent === undefined && place.length > 1 && hasShortKeys(node)
    ? [names.join('.')]
    : [...place];
}

function reaches(node: jsonc.Node, path: jsonc.JSONPath): number {
  return jsonc.findNodeAtLocation(node, path) === undefined ? 0 : 1;
}

function hasShortKeys(node: jsonc.Node): boolean {
  return (node.children ?? []).some(({ children: [key] = [] }) => String(key?.value).includes('.'));
}

function isMap(value: unknown): value is Named {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A new entry, without members that have their defaults. */
function brief(entry: Named): Named {
  const { tags, dependencies, optional, ...rest } = entry as Named & Partial<ProviderConfig>;
  return {
    ...rest,
    ...(tags !== undefined && tags.length > 0 && { tags }),
    ...(dependencies !== undefined && Object.keys(dependencies).length > 0 && { dependencies }),
    ...(optional === true && { optional }),
  };
}
