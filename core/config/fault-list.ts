/** Collects the faults and warnings of one document while it is being resolved. */
import { BedrockError, messageOf } from '../errors.js';
import type { ConfigDocument } from './document.js';
import { configError, formatIssue, formatPath, type ConfigIssue, type ConfigPath } from './issues.js';
import type { SchemaVerdict } from './schema.js';

export class FaultList {
  readonly #issues: ConfigIssue[] = [];
  readonly #warnings: string[] = [];

  constructor(private readonly document: ConfigDocument) {}

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  add(path: ConfigPath, message: string, code: ConfigIssue['code'] = 'CONFIG_INVALID'): void {
    this.#issues.push(this.#issueAt(path, message, code));
  }

  /** Takes over an error that stands for a fault; any other error goes on its way. */
  addError(path: ConfigPath, error: unknown): void {
    if (!(error instanceof BedrockError) || error.code !== 'LIBRARY_LOAD_FAILED') throw error;
    this.add(path, messageOf(error), error.code);
  }

  /** Takes over what a schema says of the value at `base`. @returns whether it accepted the value */
  takeVerdict(base: ConfigPath, { faults, remarks }: SchemaVerdict): boolean {
    for (const { path, message } of faults) this.add([...base, ...path], message);
    for (const { path, message } of remarks) this.warn([...base, ...path], message);
    return faults.length === 0;
  }

  warn(path: ConfigPath, message: string): void {
    this.#warnings.push(formatIssue(this.document.source, this.#issueAt(path, message, 'CONFIG_INVALID')));
  }

  throwIfAny(): void {
    if (this.#issues.length > 0) throw configError(this.document.source, this.#issues);
  }

  #issueAt(path: ConfigPath, message: string, code: ConfigIssue['code']): ConfigIssue {
    return { code, path: formatPath(path), message, ...this.document.locate(path) };
  }
}
