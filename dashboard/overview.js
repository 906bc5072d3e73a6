/** The daemon as a whole: its rates, providers, execution pools and connections. */
import { chart } from './charts.js';
import { element, figures, fillMeter, liveTable } from './elements.js';
import { bytes, bytesPerSecond, count, latency, percent, perSecond } from './units.js';

export function overviewView() {
  const summary = figures([
    'Operations',
    'Read',
    'Written',
    'Latency (p99)',
    'Errors',
    'CPU',
    'Event loop busy',
    'Memory',
  ]);
  const charts = [
    chart(
      'Operations',
      [
        { title: 'reads', value: ({ total }) => total.reads },
        { title: 'writes', value: ({ total }) => total.writes },
      ],
      perSecond,
    ),
    chart(
      'Bytes',
      [
        { title: 'read', value: ({ total }) => total.bytesRead },
        { title: 'written', value: ({ total }) => total.bytesWritten },
      ],
      bytesPerSecond,
    ),
    chart(
      'Load',
      [
        { title: 'CPU', value: ({ cpu }) => cpu },
        { title: 'event loop', value: ({ busy }) => busy },
      ],
      percent,
    ),
  ];
  const providers = providerTable();
  const pools = liveTable(
    'Execution pools',
    [
      { title: 'Name', text: ({ name }) => name },
      {
        title: 'Running',
        number: true,
        text: ({ inFlight, maxInFlight }) => `${inFlight} of ${maxInFlight}`,
      },
      { title: 'Waiting', number: true, text: ({ queued, maxQueued }) => `${queued} of ${maxQueued}` },
      { title: 'Refused', number: true, text: ({ refused }) => count(refused) },
    ],
    ({ name }) => name,
  );
  const streams = liveTable(
    'Execution streams',
    [
      { title: 'Name', text: ({ name }) => name },
      { title: 'Pools', text: ({ pools: served }) => served.join(', ') },
    ],
    ({ name }) => name,
  );
  const doors = liveTable(
    'Connections',
    [
      { title: 'Door', text: ({ name }) => (name === 'http' ? 'HTTP' : 'Redis protocol') },
      { title: 'Open', number: true, text: ({ connections }) => count(connections) },
      { title: 'Refused', number: true, text: ({ refused }) => count(refused) },
      {
        title: 'Closed as slow',
        number: true,
        text: (door) => count(door.evicted + (door.evictedBodies ?? 0)),
      },
      { title: 'Not taken by clients', number: true, text: ({ bufferedBytes }) => bytes(bufferedBytes) },
    ],
    ({ name }) => name,
  );
  return {
    title: 'Overview',
    node: element(
      'div',
      {},
      summary.node,
      element('div', { class: 'charts' }, ...charts.map(({ node }) => node)),
      element('h3', {}, 'Providers'),
      providers.node,
      element('h3', {}, 'Queues and connections'),
      pools.node,
      streams.node,
      doors.node,
    ),
    update(history) {
      const { status, total, moments } = history;
      const { process } = status;
      const known = moments.length > 0;
      summary.update([
        perSecond(known ? total.operations : undefined),
        bytesPerSecond(known ? total.bytesRead : undefined),
        bytesPerSecond(known ? total.bytesWritten : undefined),
        latency(history.quantileOfAll(0.99)),
        perSecond(known ? total.errors : undefined),
        percent(history.cpu),
        percent(history.busy),
        bytes(process.rssBytes),
      ]);
      for (const one of charts) one.update(moments);
      providers.update(status.providers.map((provider) => ({ ...provider, history })));
      pools.update(status.executionPools);
      streams.update(status.executionStreams);
      doors.update(Object.entries(status.doors).map(([name, door]) => ({ name, ...door })));
    },
    end: () => charts.forEach((one) => one.end()),
  };
}

const sumOf = (targets, figure) => targets.reduce((sum, { stats }) => sum + (stats?.[figure] ?? 0), 0);

/** What is wrong with a provider. */
export function troubleOf({ state, targets, error }) {
  if (error !== undefined) return error;
  if (state !== 'running') return state;
  const readOnly = targets.find((target) => target.readOnly !== undefined)?.readOnly;
  if (readOnly !== undefined) return `read-only: ${readOnly}`;
  return targets.find((target) => target.error !== undefined)?.error;
}

function providerTable() {
  const rateOf = ({ name, history }) => history.rates.get(name);
  return liveTable(
    'Providers',
    [
      {
        title: 'Name',
        node: ({ name }) => element('a', { href: `#/provider/${encodeURIComponent(name)}` }, name),
      },
      { title: 'Type', text: ({ type, provider_id: id }) => `${type} ${id}` },
      { title: 'Backend', text: ({ targets }) => [...new Set(targets.map(({ type }) => type))].join(', ') },
      {
        title: 'State',
        text: (provider) => troubleOf(provider) ?? provider.state,
        tone: (provider) => (troubleOf(provider) === undefined ? 'good' : 'bad'),
      },
      { title: 'Regions', number: true, text: ({ targets }) => count(sumOf(targets, 'regions')) },
      { title: 'Used', number: true, text: ({ targets }) => bytes(sumOf(targets, 'usedBytes')) },
      {
        title: 'Full',
        node: ({ name }) => fillMeter(`How full ${name} is`),
        refresh: (meter, { targets }) => {
          const limited = targets.filter(({ stats }) => typeof stats?.capacityBytes === 'number');
          const capacity = sumOf(limited, 'capacityBytes');
          meter.hidden = capacity === 0;
          meter.value = capacity === 0 ? 0 : sumOf(limited, 'usedBytes') / capacity;
          meter.title = percent(meter.value);
        },
      },
      { title: 'Operations', number: true, text: (row) => perSecond(rateOf(row)?.operations) },
      {
        title: 'p99',
        number: true,
        text: ({ name, history }) => latency(history.quantileOf(name, 0.99)),
      },
    ],
    ({ name }) => name,
    'The daemon has no providers.',
  );
}
