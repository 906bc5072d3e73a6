/** The thread that evaluates queries, one after another. `Queries` starts and ends it. */
import { parentPort } from 'node:worker_threads';
import { type Evaluation, Evaluator, type Outcome } from './evaluator.js';

/**
 * What the thread reports for each query: first that it begins, since its time counts from then on,
 * then the outcome.
 */
export type Report = 'begins' | { readonly outcome: Outcome; readonly isSpent: boolean };

const loading = Evaluator.load();

parentPort?.on('message', (evaluation: Evaluation) => {
  const report = (what: Report): void => parentPort?.postMessage(what);
  void loading.then((evaluator) => {
    report('begins');
    const outcome = evaluator.evaluate(evaluation);
    report({ outcome, isSpent: evaluator.isSpent });
  });
});
