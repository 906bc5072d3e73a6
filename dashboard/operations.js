/** Snapshots, restores and migrations: how far they are, how they ended, and a button that cancels. */
import { call } from './daemon.js';
import { announce, confirmed, element, liveTable, problem } from './elements.js';
import { bytes, count, duration, moment } from './units.js';

export function operationsView() {
  const failure = element('div');
  const cancel = async ({ id, type, provider }) => {
    if (!(await confirmed('Cancel', `Cancel the ${type} of ${provider}?`, 'Cancel the operation'))) return;
    try {
      await call('DELETE', `/v1/operations/${encodeURIComponent(id)}`);
      announce('The operation was told to stop.');
    } catch (error) {
      failure.replaceChildren(problem(error));
    }
  };
  const table = liveTable(
    'Operations',
    [
      { title: 'Type', text: ({ type }) => type },
      { title: 'Provider', text: ({ provider }) => provider },
      {
        title: 'State',
        text: ({ state, error }) => (error === undefined ? state : `${state}: ${error.message}`),
        tone: ({ state }) => ({ done: 'good', failed: 'bad', cancelled: 'warn' })[state] ?? '',
      },
      {
        title: 'Progress',
        node: ({ type, provider }) =>
          element('progress', { 'aria-label': `Progress of the ${type} of ${provider}` }),
        refresh: (bar, { state, doneBytes, totalBytes }) => {
          if (totalBytes > 0) {
            bar.max = totalBytes;
            bar.value = Math.min(doneBytes, totalBytes);
          } else if (state === 'running') bar.removeAttribute('value');
          else bar.value = state === 'done' ? 1 : 0;
        },
      },
      {
        title: 'Bytes',
        number: true,
        text: ({ doneBytes, totalBytes }) =>
          totalBytes === undefined ? bytes(doneBytes) : `${bytes(doneBytes)} of ${bytes(totalBytes)}`,
      },
      {
        title: 'Regions',
        number: true,
        text: ({ doneRegions, totalRegions }) =>
          totalRegions === undefined ? count(doneRegions) : `${count(doneRegions)} of ${count(totalRegions)}`,
      },
      { title: 'Begun (UTC)', text: ({ startedAt }) => moment(startedAt) },
      {
        title: 'Lasts',
        number: true,
        text: ({ startedAt, endedAt, now }) => duration((endedAt ?? now) - startedAt),
      },
      {
        title: 'Cancel',
        node: (row) =>
          element('button', { type: 'button', class: 'danger', onclick: () => void cancel(row) }, 'Cancel'),
        refresh: (button, { state }) => (button.hidden = state !== 'running'),
      },
    ],
    ({ id }) => id,
    'No operation runs, and none has ended since the daemon started.',
  );
  return {
    title: 'Operations',
    node: element('div', {}, failure, table.node),
    update: ({ status }) =>
      table.update(status.operations.map((one) => ({ ...one, now: Math.max(status.time, one.startedAt) }))),
  };
}
