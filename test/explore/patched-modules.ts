/**
 * Loads a module of the project, and all that it imports, as copies of their own in memory, some
 * with a text of their source replaced: how the tests put a fault back that was mended, or make one
 * that was never there. Nothing is written, and nobody else's modules change.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SourceTextModule, SyntheticModule, type Module } from 'node:vm';
import { transformSync } from '@swc/core';

/** A change of one file: text that stands there once, and what stands there instead. */
export interface Patch {
  /** From the root of the project. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const ROOT = new URL('../../', import.meta.url);
/** Sources as JavaScript, the unchanged ones. */
const transformed = new Map<string, string>();

export async function importPatched(path: string, patches: readonly Patch[] = []): Promise<unknown> {
  const modules = new Map<string, Module>();
  const patched = new Map(
    patches.map(({ file }) => [new URL(file, ROOT).href, patches.filter((patch) => patch.file === file)]),
  );

  const load = async (url: string): Promise<Module> => {
    const known = modules.get(url);
    if (known !== undefined) return known;
    const module = url.startsWith('file:')
      ? sourceModule(url, patched.get(url) ?? [])
      : await foreignModule(url);
    // Another import may have been faster.
    if (!modules.has(url)) modules.set(url, module);
    return modules.get(url) as Module;
  };
  const root = await load(new URL(path, ROOT).href);
  await root.link((specifier, { identifier }) => load(resolve(specifier, identifier)));
  await root.evaluate();
  return root.namespace;
}

function resolve(specifier: string, from: string): string {
  if (!specifier.startsWith('.')) return specifier;
  const { href } = new URL(specifier, from);
  const typed = href.replace(/\.js$/, '.ts');
  return existsSync(fileURLToPath(typed)) ? typed : href;
}

function sourceModule(url: string, patches: readonly Patch[]): Module {
  return new SourceTextModule(codeOf(url, patches), {
    identifier: url,
    initializeImportMeta: (meta) => {
      const path = fileURLToPath(url);
      Object.assign(meta, { url, filename: path, dirname: fileURLToPath(new URL('.', url)) });
    },
    importModuleDynamically: (specifier) => import(resolve(specifier, url)) as never,
  });
}

function codeOf(url: string, patches: readonly Patch[]): string {
  const known = transformed.get(url);
  if (known !== undefined && patches.length === 0) return known;
  let source = readFileSync(new URL(url), 'utf8');
  for (const { file, from, to } of patches) {
    const parts = source.split(from);
    if (parts.length !== 2)
      throw new Error(`a patch no longer fits: ${file} has this text ${parts.length - 1} times: ${from}`);
    source = parts.join(to);
  }
  const { code } = transformSync(source, {
    filename: fileURLToPath(url),
    configFile: false,
    swcrc: false,
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true },
      target: 'es2022',
    },
    module: { type: 'es6' },
  });
  if (patches.length === 0) transformed.set(url, code);
  return code;
}

/** Of Node.js, or of a package: as everybody has it. */
async function foreignModule(specifier: string): Promise<Module> {
  const namespace = (await import(specifier)) as Record<string, unknown>;
  const names = Object.keys(namespace);
  return new SyntheticModule(
    names,
    function (this: SyntheticModule) {
      for (const name of names) this.setExport(name, namespace[name]);
    },
    { identifier: specifier },
  );
}
