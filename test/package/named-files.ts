/** Files of the repository that a page names in its text, as `core/pool/header.ts` or, after such a name, as `recovery.ts` alone. */
import path from 'node:path';

const IN_CODE = /`([^`\n]+)`/g;
/** A path with a folder, or the name of a source file alone. */
const NAMED = /^(?:\.?[\w-]+\/)+(?:[\w.*-]+)?$|^[\w*-]+\.ts$/;

/** @returns paths and names, each once, in their order; not the entry points of the package, `bedrock-node/…` */
export function namedFiles(markdown: string): string[] {
  const named = [...markdown.matchAll(IN_CODE)].map(([, text = '']) => text);
  return [...new Set(named.filter((text) => NAMED.test(text) && !text.startsWith('bedrock-node/')))];
}

/**
 * Those that do not exist.
 * @param files paths of all files of the repository, with `/`
 */
export function missingFiles(markdown: string, files: readonly string[]): string[] {
  const folders = new Set(files.flatMap((file) => foldersOf(file)));
  return namedFiles(markdown).filter((named) => {
    const plain = named.replace(/\/$/, '');
    if (!plain.includes('*')) return !files.some((file) => isAt(file, plain)) && !folders.has(plain);
    const pattern = new RegExp(`^${plain.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`);
    return !files.some((file) => pattern.test(file));
  });
}

function isAt(file: string, named: string): boolean {
  return named.includes('/') ? file === named : path.posix.basename(file) === named;
}

/** `a/b/c.ts` is in `a/b` and `a`, and a page may call the folder `client/http` by its last two names. */
function foldersOf(file: string): string[] {
  const steps = file.split('/').slice(0, -1);
  return steps.flatMap((_, at) => [
    steps.slice(0, at + 1).join('/'),
    steps.slice(Math.max(0, at - 1), at + 1).join('/'),
  ]);
}
