/**
 * Says, above jest's closing lines, what was skipped and why. The reason stands in the title, as test/fixtures/needs.ts puts it
 * there; a test that is skipped without one fails the run.
 */
const REASON = /\[skipped: ([^\]]*)\]/;

/** The group of the conformance suite whose titles say what it leaves out, and what the factory lacks for it. */
const LEFT_OUT = 'left out';

export default class SkippedReporter {
  #isChoice;
  #leftOut;
  #error;

  /** @param leftOut whole folders that are left out, each with its reason */
  constructor({ testNamePattern }, { leftOut = [] } = {}) {
    this.#isChoice = Boolean(testNamePattern);
    this.#leftOut = leftOut;
  }

  onRunComplete(_contexts, { testResults }) {
    // Who names the tests to run knows that the others do not.
    if (this.#isChoice) return;
    const byReason = new Map();
    const note = (reason, what) => {
      const known = byReason.get(reason) ?? new Map();
      known.set(what, (known.get(what) ?? 0) + 1);
      byReason.set(reason, known);
    };
    const unexplained = [];
    for (const { testFilePath, testResults: tests } of testResults) {
      const file = testFilePath.slice(process.cwd().length + 1);
      for (const { status, ancestorTitles, title, fullName } of tests) {
        if (status !== 'pending' && status !== 'todo') continue;
        const titles = [...ancestorTitles, title];
        const at = titles.findIndex((one) => REASON.test(one));
        if (at >= 0) {
          const what = titles
            .slice(0, at + 1)
            .join(' › ')
            .replace(REASON, '')
            .trim();
          note(REASON.exec(titles[at])[1], `${file}: ${what}`);
        } else if (ancestorTitles.at(-1) === LEFT_OUT) {
          const [, what, reason] = /^(.*): (.*)$/.exec(title) ?? ['', title, title];
          note(reason, `${file}: ${what}`);
        } else unexplained.push(`${file}: ${fullName}`);
      }
    }
    for (const [folder, reason] of this.#leftOut) note(reason, folder);
    const lines = [];
    for (const [reason, whats] of byReason) {
      lines.push(`  ${reason}`);
      for (const [what, count] of whats) lines.push(`    ${what}${count > 1 ? ` (${count} tests)` : ''}`);
    }
    if (lines.length > 0) process.stderr.write(`\nSkipped:\n${lines.join('\n')}\n\n`);
    if (unexplained.length > 0) {
      this.#error = new Error(`skipped without a reason in the title:\n  ${unexplained.join('\n  ')}`);
      process.stderr.write(`\n${this.#error.message}\n\n`);
    }
  }

  getLastError() {
    return this.#error;
  }
}
