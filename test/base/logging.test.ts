/** What the daemon logs: the text that users of Bedrock know, or JSON, one line an event. */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LOG_LEVELS, type LogThreshold } from '../../core/base/log-levels.js';
import { createLogger, type LogFormat, type Logger } from '../../core/base/logging.js';
import { withoutTimes } from '../fixtures/log-times.js';
import { thrownValues } from '../fixtures/thrown-values.js';

interface Output {
  logger: Logger;
  /** Everything that was written so far, without the times in front of lines. */
  text: () => string;
  raw: () => string;
  lines: () => string[];
  objects: () => Record<string, unknown>[];
}

function output(format: LogFormat, level: LogThreshold = 'trace'): Output {
  const stream = new PassThrough();
  let written = '';
  stream.on('data', (chunk: Buffer) => (written += chunk.toString()));
  const text = (): string => withoutTimes(written);
  const lines = (): string[] => text().split('\n').slice(0, -1);
  return {
    logger: createLogger({ level, format, stream }),
    text,
    raw: () => written,
    lines,
    objects: () => lines().map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

function logAllLevels(logger: Logger): void {
  for (const level of LOG_LEVELS) logger[level](`at ${level}`);
}

describe('the text form', () => {
  it('begins with the time: ISO 8601 with milliseconds, UTC', () => {
    const { logger, raw } = output('text');
    const before = Date.now();
    logger.info('x');
    const [, time = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) \[info\]/.exec(raw()) ?? [];
    expect(Date.parse(time)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now());
  });

  it('is [level] [component] message', () => {
    const { logger, text } = output('text');
    logger.child({ component: 'warabi:42' }).info('Recovered 42 existing regions', { regions: 42 });
    expect(text()).toBe('[info] [warabi:42] Recovered 42 existing regions\n');
  });

  it('names the daemon itself bedrock', () => {
    const { logger, text } = output('text');
    logger.warning('stopping');
    expect(text()).toBe('[warning] [bedrock] stopping\n');
  });

  it.each<[string, string]>([
    ['a line feed', '\n'],
    ['a carriage return', '\r'],
    ['both', '\r\n'],
    ['several', '\n\n\n'],
    ['a vertical tab', '\v'],
    ['a form feed', '\f'],
    ['the next line of Unicode', '\u0085'],
    ['the line separator of Unicode', '\u2028'],
    ['the paragraph separator of Unicode', '\u2029'],
  ])('keeps an event with %s in its message on one line', (_title, lineBreak) => {
    const { logger, text } = output('text');
    logger.info(`nothing${lineBreak}[error] [bedrock] forged`);
    expect(text()).toBe('[info] [bedrock] nothing | [error] [bedrock] forged\n');
  });

  it('keeps an event on one line even if the component has line breaks', () => {
    const { logger, lines } = output('text');
    logger.child({ component: 'x\n[error] [bedrock' }).info('forged');
    expect(lines()).toHaveLength(1);
  });

  it('writes what a terminal could take for a command as text, and leaves tabs and other letters alone', () => {
    const { logger, text } = output('text');
    logger.info('\u001b[2J\u0007 a\tb é 漢字 🪨 \u007f\u009b');
    expect(text()).toBe('[info] [bedrock] \\x1b[2J\\x07 a\tb é 漢字 🪨 \\x7f\\x9b\n');
  });
});

describe('the JSON form', () => {
  it('is one object a line, with time, level, component, message and then the fields', () => {
    const { logger, lines, objects } = output('json');
    const before = Date.now();
    logger.child({ component: 'warabi:42' }).info('Recovered', { regions: 42, nested: { a: [1] } });
    expect(lines()).toHaveLength(1);
    const [event = {}] = objects();
    expect(Object.keys(event)).toEqual(['time', 'level', 'component', 'message', 'regions', 'nested']);
    expect(event).toMatchObject({
      level: 'info',
      component: 'warabi:42',
      message: 'Recovered',
      regions: 42,
      nested: { a: [1] },
    });
    const time = Date.parse(event.time as string);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
  });

  it('keeps messages with line breaks on one line, unchanged', () => {
    const { logger, lines, objects } = output('json');
    const message = 'a\n{"level":"error"}\r\n"quoted" \\ \u2028 \u001b[31m';
    logger.info(message);
    expect(lines()).toHaveLength(1);
    expect(objects()[0]).toMatchObject({ message, level: 'info' });
  });

  it('lets no field take the place of time and level', () => {
    const { logger, objects } = output('json');
    logger.info('x', { time: 'never', level: 'critical' });
    expect(objects()[0]?.level).toBe('info');
    expect(objects()[0]?.time).not.toBe('never');
  });

  it('shows errors and bigints', () => {
    const { logger, objects } = output('json');
    logger.error('x', { reason: new Error('the medium is gone'), bytes: 10n });
    expect(objects()[0]).toMatchObject({
      reason: expect.stringContaining('the medium is gone') as unknown,
      bytes: '10',
    });
  });

  it('logs an event whose fields cannot be written without them', () => {
    const { logger, objects } = output('json');
    const circular: Record<string, unknown> = { a: 1 };
    circular.self = circular;
    logger.info('x', circular);
    logger.info('y');
    expect(objects()).toEqual([
      expect.objectContaining({ message: 'x', level: 'info' }),
      expect.objectContaining({ message: 'y' }),
    ]);
  });
});

describe.each<LogFormat>(['text', 'json'])('anything that a library logs, in the %s form', (format) => {
  it('is one line a call, and no call throws', () => {
    const property = fc.property(thrownValues, thrownValues, (makeMessage, makeFields) => {
      const { logger, lines } = output(format);
      const given = [makeMessage(), makeFields()] as [string, Record<string, unknown>];
      logger.info(...given);
      logger.info('x', { field: given[0] });
      logger.child({ component: given[0] }).info('y');
      logger.child(given[1] as { component: string }).info('z');
      expect(lines()).toHaveLength(4);
    });
    fc.assert(property, { numRuns: 200 });
  });
});

describe.each<LogFormat>(['text', 'json'])('levels in the %s form', (format) => {
  it.each([...LOG_LEVELS])('%s lets through what is as grave or graver', (level) => {
    const { logger, lines } = output(format, level);
    logAllLevels(logger);
    logAllLevels(logger.child({ component: 'warabi:42' }));
    expect(lines()).toHaveLength(2 * (LOG_LEVELS.indexOf(level) + 1));
    const gravest = lines()[0] ?? '';
    expect(gravest).toContain('critical');
  });

  it('off lets nothing through', () => {
    const { logger, text } = output(format, 'off');
    logAllLevels(logger);
    logAllLevels(logger.child({ component: 'warabi:42' }).child({ component: 'inner' }));
    expect(text()).toBe('');
  });
});

describe('children', () => {
  it('carry their own component, nested ones too, and change nothing for the others', () => {
    const { logger, lines } = output('text');
    const one = logger.child({ component: 'warabi:1' });
    const inner = one.child({ component: 'warabi:1.target' });
    const two = logger.child({ component: 'warabi:2' });
    for (const each of [inner, one, two, logger]) each.info('x');
    expect(lines()).toEqual([
      '[info] [warabi:1.target] x',
      '[info] [warabi:1] x',
      '[info] [warabi:2] x',
      '[info] [bedrock] x',
    ]);
  });

  it('add nothing to what others log in JSON', () => {
    const { logger, objects } = output('json');
    logger.child({ component: 'warabi:1' }).info('x', { regions: 1 });
    logger.info('y');
    expect(objects()[1]).toEqual({
      time: expect.any(String) as unknown,
      level: 'info',
      component: 'bedrock',
      message: 'y',
    });
  });
});
