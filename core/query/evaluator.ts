/**
 * Evaluates JSONata expressions on a document, in an interpreter that shares nothing with the
 * daemon.
 *
 * The interpreter is QuickJS, compiled to WebAssembly. Node.js itself cannot limit an expression:
 * V8 ends the process if one allocation exceeds the heap limit of a worker thread, as in
 * `$uppercase($pad("", 500000000))`. In QuickJS each allocation counts, an expression that needs
 * too much gets an error, and it can reach no file, network or process.
 *
 * Each expression gets an interpreter of its own, so that it cannot see what an earlier one left.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import {
  newQuickJSWASMModuleFromVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core';

/** The limits that hold while an expression is evaluated; the names are those of `bedrock.query`. */
export interface EvaluationLimits {
  readonly max_time_ms: number;
  readonly max_memory_bytes: number;
  readonly max_depth: number;
  readonly max_answer_bytes: number;
}

export interface Evaluation {
  readonly expression: string;
  /** The document, JSON. */
  readonly document: string;
  readonly limits: EvaluationLimits;
}

/** What is wrong with an expression. */
export interface Mistake {
  readonly message: string;
  /** Position of the last character that was read or evaluated, counted from 1. */
  readonly position?: number;
}

/** An answer (JSON), a mistake of the expression, or the limit that it exceeded. */
export type Outcome =
  | { readonly answer: string }
  | { readonly mistake: Mistake }
  | { readonly exceeded: keyof EvaluationLimits };

/** Stack of the interpreter: enough for about 500 nested brackets. */
const STACK_BYTES = 256 * 1024;

/**
 * Runs inside the interpreter. Functions, of which JSONata has kinds of its own, have no JSON form.
 * An answer without a value is null. JSONata needs `btoa` and `atob`, which QuickJS lacks: both
 * take and return texts of bytes.
 */
const PROGRAM = `
var DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
var window = {
  btoa: function (text) {
    var out = '';
    for (var at = 0; at < text.length; at += 3) {
      var bits = 0;
      for (var next = 0; next < 3; next++) {
        var byte = at + next < text.length ? text.charCodeAt(at + next) : 0;
        if (byte > 255) throw { message: '$base64encode takes characters up to U+00FF' };
        bits = bits * 256 + byte;
      }
      for (var digit = 0; digit < 4; digit++)
        out += digit > text.length - at ? '=' : DIGITS[(bits >> (18 - 6 * digit)) & 63];
    }
    return out;
  },
  atob: function (text) {
    var digits = text.replace(/[\\s=]/g, ''), out = '', bits = 0, held = 0;
    for (var at = 0; at < digits.length; at++) {
      var value = DIGITS.indexOf(digits[at]);
      if (value < 0) throw { message: '$base64decode takes Base64 only' };
      bits = ((bits << 6) | value) & 0xffff;
      held += 6;
      if (held >= 8) out += String.fromCharCode((bits >> (held -= 8)) & 255);
    }
    return out;
  },
};
var outcome;
function jsonOf(value) {
  var text = JSON.stringify(value, function (_name, member) {
    var isFunction = typeof member === 'object' && member !== null &&
      (member._jsonata_lambda === true || member._jsonata_function === true);
    return isFunction ? undefined : member;
  });
  return text === undefined ? 'null' : text;
}
// A message may contain a value of any length.
function textOf(value) { return typeof value === 'string' ? value.slice(0, 1000) : ''; }
function end(error) {
  outcome = { length: 0, name: textOf(error && error.name), code: textOf(error && error.code),
    message: textOf(error && error.message), position: Number(error && error.position) || 0 };
}
function begin(jsonata, expression, document, depth) {
  try {
    jsonata(expression, { stack: depth }).evaluate(JSON.parse(document)).then(function (value) {
      var answer = jsonOf(value);
      outcome = { length: answer.length, answer: answer };
    }).catch(end);
  } catch (error) { end(error); }
}
`;

/** The code of JSONata for an evaluation that is nested too deeply. */
const DEPTH_EXCEEDED = 'D1011';

export class Evaluator {
  /**
   * Whether it must not be used again, because an expression has left the interpreter in a state in
   * which it cannot even be closed.
   */
  isSpent = false;

  private constructor(
    private readonly quickjs: QuickJSWASMModule,
    /** A JavaScript expression whose value is the function `jsonata`. */
    private readonly jsonata: string,
  ) {}

  /** Loads the interpreter and JSONata. */
  static async load(): Promise<Evaluator> {
    const quickjs = await newQuickJSWASMModuleFromVariant(import('@jitl/quickjs-wasmfile-release-sync'));
    const source = readFileSync(createRequire(import.meta.url).resolve('jsonata/jsonata.min.js'), 'utf8');
    const body = `var exports = module.exports; ${source}\nreturn module.exports;`;
    return new Evaluator(quickjs, `(function (module) { ${body} })({ exports: {} })`);
  }

  /**
   * Evaluates an expression. Blocks its thread.
   * @throws an error of the interpreter, which must then not be used again
   */
  evaluate({ expression, document, limits }: Evaluation): Outcome {
    // No limits while JSONata is loaded, which is the daemon's own work.
    let deadline = Infinity;
    const isLate = (): boolean => performance.now() > deadline;
    const runtime = this.quickjs.newRuntime({
      memoryLimitBytes: limits.max_memory_bytes,
      maxStackSizeBytes: STACK_BYTES,
      interruptHandler: isLate,
    });
    const context = runtime.newContext();
    context.unwrapResult(context.evalCode(PROGRAM)).dispose();
    const jsonata = context.unwrapResult(context.evalCode(this.jsonata));
    deadline = performance.now() + limits.max_time_ms;
    const failed = begin(context, [
      jsonata,
      context.newString(expression),
      context.newString(document),
      context.newNumber(limits.max_depth),
    ]);
    const outcome = failed === undefined ? outcomeOf(context, limits) : meaningOf(failed);
    // An interruption within $eval looks like a mistake of the expression.
    const isOverTime = isLate() && !('answer' in outcome);
    if (isOverTime || 'exceeded' in outcome) {
      this.isSpent = true;
      return isOverTime ? { exceeded: 'max_time_ms' } : outcome;
    }
    try {
      context.dispose();
      runtime.dispose();
    } catch {
      // JSONata may have taken a lack of stack or memory for a mistake of the expression.
      this.isSpent = true;
    }
    return outcome;
  }
}

/** Starts the program, and runs it to its end. @returns the error that ended it, if any */
function begin(context: QuickJSContext, args: readonly QuickJSHandle[]): Fault | undefined {
  const called = context.getProp(context.global, 'begin').consume((run) => {
    return context.callFunction(run, context.undefined, ...args);
  });
  for (const one of args) one.dispose();
  if (called.error !== undefined) return faultOf(context, called.error);
  called.value.dispose();
  const { error } = context.runtime.executePendingJobs();
  return error === undefined ? undefined : faultOf(context, error);
}

/** What the program has left in `outcome`. */
function outcomeOf(context: QuickJSContext, limits: EvaluationLimits): Outcome {
  const left = context.getProp(context.global, 'outcome');
  const text = (name: string): string =>
    context.getProp(left, name).consume((value) => context.getString(value));
  const number = (name: string): number =>
    context.getProp(left, name).consume((value) => context.getNumber(value));
  try {
    // It did not end: there was no memory for the last step.
    if (context.typeof(left) === 'undefined') return { exceeded: 'max_memory_bytes' };
    const length = number('length');
    if (length > limits.max_answer_bytes) return { exceeded: 'max_answer_bytes' };
    if (length > 0) {
      const answer = text('answer');
      return Buffer.byteLength(answer) > limits.max_answer_bytes
        ? { exceeded: 'max_answer_bytes' }
        : { answer };
    }
    const [code, name, message, position] = [text('code'), text('name'), text('message'), number('position')];
    if (code === DEPTH_EXCEEDED) return { exceeded: 'max_depth' };
    // Errors of JSONata have a code. Other errors come from the interpreter.
    if (code === '' && name !== '') return meaningOf({ name, message });
    return { mistake: { message, ...(position > 0 && { position }) } };
  } finally {
    left.dispose();
  }
}

/** An error of the interpreter. */
interface Fault {
  readonly name: string;
  readonly message: string;
}

function faultOf(context: QuickJSContext, error: QuickJSHandle): Fault {
  const text = (name: string): string =>
    context.getProp(error, name).consume((value) => context.getString(value));
  return error.consume(() => ({ name: text('name'), message: text('message') }));
}

function meaningOf({ name, message }: Fault): Outcome {
  switch (message) {
    case 'interrupted':
      return { exceeded: 'max_time_ms' };
    case 'stack overflow':
    case 'Maximum call stack size exceeded':
      return { exceeded: 'max_depth' };
    case 'out of memory':
    case 'string too long':
    case 'invalid string length':
    case 'invalid array length':
      return { exceeded: 'max_memory_bytes' };
    default:
      // Without memory there is not even an error object: null is thrown.
      return name === '' || name === 'undefined'
        ? { exceeded: 'max_memory_bytes' }
        : { mistake: { message: `${name}: ${message}` } };
  }
}
