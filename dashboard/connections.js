/** The open connections, one by one. */
import { DaemonError, json } from './daemon.js';
import { element, liveTable, problem, setText } from './elements.js';
import { bytes, count, duration, moment } from './units.js';

/** Where an audit log is kept, each answer is a line in it. */
const REFRESH_MS = 5000;

export function connectionsView() {
  const failure = element('div');
  const summary = element('p', {}, 'loading');
  const table = liveTable(
    'Connections',
    [
      { title: 'Door', text: ({ door }) => (door === 'http' ? 'HTTP' : 'Redis protocol') },
      { title: 'From', class: 'name', text: ({ from }) => from },
      { title: 'Name', class: 'name', text: ({ name }) => name ?? '—' },
      { title: 'Since (UTC)', text: ({ since }) => moment(since) },
      { title: 'Open for', number: true, text: ({ since, now }) => duration(now - since) },
      { title: 'In flight', number: true, text: ({ inFlight }) => count(inFlight) },
      { title: 'Received', number: true, text: ({ receivedBytes }) => bytes(receivedBytes) },
      { title: 'Sent', number: true, text: ({ sentBytes }) => bytes(sentBytes) },
    ],
    ({ door, from, since }) => `${door} ${from} ${since}`,
    'None.',
  );
  let timer;
  let isOver = false;
  const load = async () => {
    let isRefused = false;
    if (!document.hidden)
      try {
        const { connections, total } = await json('/v1/connections?limit=1000');
        if (isOver) return;
        failure.replaceChildren();
        const now = Date.now();
        table.update(connections.map((one) => ({ ...one, now: Math.max(now, one.since) })));
        setText(
          summary,
          connections.length < total
            ? `The oldest ${count(connections.length)} of ${count(total)} connections.`
            : `${count(total)} connections.`,
        );
      } catch (error) {
        if (isOver) return;
        isRefused = error instanceof DaemonError && error.status === 403;
        failure.replaceChildren(problem(error));
        setText(summary, isRefused ? 'It takes a token with the scope admin for the whole daemon.' : '');
      }
    if (!isOver && !isRefused) timer = setTimeout(load, REFRESH_MS);
  };
  void load();
  return {
    title: 'Connections',
    node: element('div', {}, failure, summary, table.node),
    end() {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
