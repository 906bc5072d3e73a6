/** One provider: its targets with their space, what recovery found, and the operations on them. */
import { element, figures, fillMeter, liveTable, setText } from './elements.js';
import { troubleOf } from './overview.js';
import { spaceMap } from './space.js';
import { bytes, bytesPerSecond, count, latency, percent, perSecond } from './units.js';

export function providerView([name = '']) {
  const state = element('p', {}, 'waiting for the daemon');
  const place = element('div');
  let targets = [];
  return {
    title: `Provider ${name}`,
    node: element('div', {}, state, place),
    update(history) {
      const provider = history.status.providers.find((one) => one.name === name);
      if (provider === undefined) {
        setText(state, 'There is no such provider.');
        place.replaceChildren();
        targets.forEach(({ end }) => end());
        targets = [];
        return;
      }
      const trouble = troubleOf(provider);
      setText(state, `${provider.type} ${provider.provider_id}, ${trouble ?? provider.state}`);
      state.className = trouble === undefined ? 'good' : 'bad';
      if (targets.length !== provider.targets.length) {
        targets.forEach(({ end }) => end());
        targets = provider.targets.map((target, index) => targetPart(name, index, target));
        place.replaceChildren(...targets.map(({ node }) => node));
      }
      targets.forEach((part, index) => part.update(history, provider.targets[index]));
    },
    end: () => targets.forEach(({ end }) => end()),
  };
}

function targetPart(provider, index, { type, hasSpaceMap }) {
  const space = figures([
    'Regions',
    'Used',
    'Free',
    'Largest free',
    'Capacity',
    'Fragmentation',
    'Durable by',
    'State',
  ]);
  const recovery = figures([
    'Regions recovered',
    'Bytes recovered',
    'Quarantined',
    'It took',
    'Not given back',
    'Gives back failed',
  ]);
  const meter = fillMeter(`How full target ${index} is`);
  const map = hasSpaceMap ? spaceMap(provider, index) : undefined;
  const findings = element('ul', { hidden: true });
  const trouble = element('p', { class: 'problem', hidden: true });
  const operations = liveTable(
    `Operations on target ${index}`,
    [
      { title: 'Operation', text: ({ operation }) => operation },
      { title: 'Now', number: true, text: ({ rate }) => perSecond(rate?.count) },
      { title: 'Bytes', number: true, text: ({ rate }) => bytesPerSecond(rate?.bytes) },
      { title: 'p50', number: true, text: (row) => latency(row.half) },
      { title: 'p99', number: true, text: (row) => latency(row.most) },
      { title: 'Total', number: true, text: ({ figures: { count: total } }) => count(total) },
      {
        title: 'Failed',
        text: ({ figures: { errors } }) =>
          Object.entries(errors)
            .map(([code, times]) => `${code} ${count(times)}`)
            .join(', ') || '—',
      },
    ],
    ({ operation }) => operation,
    'No operation yet.',
  );
  const contents = element(
    'a',
    { href: `#/contents/${encodeURIComponent(provider)}/${index}` },
    `Contents of target ${index}`,
  );
  const node = element(
    'section',
    { 'aria-label': `Target ${index}` },
    element('h3', {}, `Target ${index}: ${type}`),
    trouble,
    element('p', { class: 'row' }, meter, contents),
    space.node,
    element('h3', {}, 'Recovery'),
    recovery.node,
    findings,
    map?.node,
    operations.node,
  );
  return {
    node,
    end: () => map?.end(),
    update(history, target) {
      const { stats } = target;
      const wrong = target.readOnly ?? target.error;
      trouble.hidden = wrong === undefined;
      setText(trouble, wrong ?? '');
      if (stats !== undefined) {
        const { capacityBytes } = stats;
        meter.hidden = capacityBytes === null;
        meter.value = capacityBytes === null || capacityBytes === 0 ? 0 : stats.usedBytes / capacityBytes;
        space.update([
          count(stats.regions),
          bytes(stats.usedBytes),
          bytes(stats.freeBytes),
          bytes(stats.largestFreeBytes),
          capacityBytes === null ? 'unlimited' : bytes(capacityBytes),
          percent(stats.fragmentation),
          stats.mode,
          target.state,
        ]);
        recovery.update([
          count(stats.recovery.regions),
          bytes(stats.recovery.bytes),
          count(stats.recovery.quarantined),
          latency(stats.recovery.durationMs),
          bytes(stats.pendingBytes),
          count(stats.failedGiveBacks),
        ]);
        const found = stats.recovery.findings ?? [];
        findings.hidden = found.length === 0;
        if (findings.childElementCount !== found.length)
          findings.replaceChildren(...found.map((text) => element('li', {}, text)));
      }
      const key = `${provider}/${index}`;
      operations.update(
        Object.entries(target.operations ?? {}).map(([operation, own]) => ({
          operation,
          figures: own,
          rate: history.rates.get(`${key}/${operation}`),
          half: history.quantileOf(`${key}/${operation}`, 0.5),
          most: history.quantileOf(`${key}/${operation}`, 0.99),
        })),
      );
    },
  };
}
