/** Rates and latencies, from the totals of two moments. */

/** How many moments are kept: five minutes. */
const KEPT = 300;

const READS = new Set(['read', 'stat', 'list', 'find', 'names']);

/** Figures of one second: those of targets are added up for a provider, and for the daemon. */
class Figures {
  operations = 0;
  reads = 0;
  bytesRead = 0;
  bytesWritten = 0;
  errors = 0;
  durations = [];

  add(operation, rate) {
    this.operations += rate.count;
    if (READS.has(operation)) {
      this.reads += rate.count;
      this.bytesRead += rate.bytes;
    } else this.bytesWritten += rate.bytes;
    this.errors += rate.errors;
    rate.durations.forEach((value, index) => (this.durations[index] = (this.durations[index] ?? 0) + value));
  }

  get writes() {
    return this.operations - this.reads;
  }
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** What has happened between two figures of one operation, each second. A total that has shrunk has begun anew. */
function rateOf(now, before, seconds) {
  const fresh = before === undefined || before.count > now.count;
  const since = (value, then) => (value - (fresh ? 0 : (then ?? 0))) / seconds;
  return {
    count: since(now.count, before?.count),
    bytes: since(now.bytes, before?.bytes),
    errors: since(sum(Object.values(now.errors)), sum(Object.values(before?.errors ?? {}))),
    durations: now.durations.map((value, index) => since(value, before?.durations[index])),
  };
}

/**
 * The latency that a part of the operations did not exceed, to the bound of its bucket.
 * @param {number[]} durations
 * @param {number[]} bounds
 * @param {number} part from 0 to 1
 */
export function quantile(durations, bounds, part) {
  const total = sum(durations);
  if (total === 0) return undefined;
  let within = 0;
  for (const [index, value] of durations.entries()) {
    within += value;
    if (within >= total * part - 1e-9) return bounds[index] ?? Infinity;
  }
  return Infinity;
}

export class History {
  /** @type {{time: number, total: Figures, cpu: number, busy: number}[]} */
  moments = [];
  status;
  /** By provider, `provider/target` and `provider/target/operation`. */
  rates = new Map();
  total = new Figures();
  cpu;
  busy;

  get bounds() {
    return this.status?.latencyBoundsMs ?? [];
  }

  /** @param {object} status the newest */
  take(status) {
    const before = this.status?.process.pid === status.process.pid ? this.status : undefined;
    this.status = status;
    const seconds = before === undefined ? 0 : (status.process.uptimeMs - before.process.uptimeMs) / 1000;
    this.rates = new Map();
    this.total = new Figures();
    if (seconds <= 0) return;
    const was = new Map();
    for (const provider of before.providers)
      provider.targets.forEach((target, index) =>
        was.set(`${provider.name}/${index}`, target.operations ?? {}),
      );
    for (const provider of status.providers) {
      const ofProvider = new Figures();
      provider.targets.forEach((target, index) => {
        const key = `${provider.name}/${index}`;
        const ofTarget = new Figures();
        for (const [operation, figures] of Object.entries(target.operations ?? {})) {
          const rate = rateOf(figures, was.get(key)?.[operation], seconds);
          this.rates.set(`${key}/${operation}`, rate);
          for (const one of [ofTarget, ofProvider, this.total]) one.add(operation, rate);
        }
        this.rates.set(key, ofTarget);
      });
      this.rates.set(provider.name, ofProvider);
    }
    const since = (value, then) => (value - then) / seconds / 1000;
    this.cpu = since(status.process.cpuMs, before.process.cpuMs);
    this.busy = since(status.process.eventLoop.activeMs, before.process.eventLoop.activeMs);
    this.moments.push({ time: status.time / 1000, total: this.total, cpu: this.cpu, busy: this.busy });
    if (this.moments.length > KEPT) this.moments.shift();
  }

  /** @param {string} key as in `rates` */
  quantileOf(key, part) {
    const durations = this.rates.get(key)?.durations ?? [];
    return quantile(durations, this.bounds, part);
  }

  quantileOfAll(part) {
    return quantile(this.total.durations, this.bounds, part);
  }
}
