/** Collects the faults and warnings of one document while it is resolved. */
import {
  configError,
  type ConfigIssue,
  type ConfigPath,
  formatIssue,
  formatPath,
} from '../validation/issues.js';
import type { SchemaVerdict } from '../validation/schema.js';
import type { ConfigDocument } from './document.js';

export class FaultList {
  /** For each path, only the first fault: it is the cause, and later ones follow from it. */
  readonly #issues = new Map<string, ConfigIssue>();
  readonly #warnings: string[] = [];

  /** Starts with the faults found when the document was read. */
  constructor(private readonly document: ConfigDocument) {
    for (const issue of document.issues) this.#add(issue);
  }

  get isAny(): boolean {
    return this.#issues.size > 0;
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  add(path: ConfigPath, message: string, code: ConfigIssue['code'] = 'CONFIG_INVALID'): void {
    this.#add(this.#issueAt(path, message, code));
  }

  /** A fault of a value that replaces one of the document, so no line of the document is at fault. */
  addElsewhere(path: ConfigPath, message: string): void {
    this.#add({ code: 'CONFIG_INVALID', path: formatPath(path), message });
  }

  /** Adds what a schema reports about the value at `base`. @returns whether the schema accepted the value */
  takeVerdict(base: ConfigPath, { faults, remarks }: SchemaVerdict): boolean {
    for (const { path, message } of faults) this.add([...base, ...path], message);
    for (const { path, message } of remarks) this.warn([...base, ...path], message);
    return faults.length === 0;
  }

  warn(path: ConfigPath, message: string): void {
    this.#warnings.push(formatIssue(this.document.source, this.#issueAt(path, message, 'CONFIG_INVALID')));
  }

  throwIfAny(): void {
    if (this.isAny) throw configError(this.document.source, [...this.#issues.values()]);
  }

  #add(issue: ConfigIssue): void {
    if (!this.#issues.has(issue.path)) this.#issues.set(issue.path, issue);
  }

  #issueAt(path: ConfigPath, message: string, code: ConfigIssue['code']): ConfigIssue {
    return { code, path: formatPath(path), message, ...this.document.locate(path) };
  }
}
