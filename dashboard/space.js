/**
 * The map of a target's space: a grid of buckets on a canvas, filled as far as their bytes are used. The daemon sends at most 1024 buckets,
 * however many regions there are. Each bucket can be looked at with the pointer or the arrow keys, and the free pieces stand beside the map
 * as a table, by their sizes.
 */
import { json, placeOf } from './daemon.js';
import { element, liveTable, problem, setText } from './elements.js';
import { bytes, count, percent } from './units.js';

/** The daemon keeps a map of a large target for longer than that. */
const REFRESH_MS = 5000;
/** Size of a bucket on the screen. */
const CELL = 12;
const GAP = 2;

const dark = matchMedia('(prefers-color-scheme: dark)');

export function spaceMap(provider, target) {
  const canvas = element('canvas', {
    class: 'space',
    tabIndex: 0,
    role: 'slider',
    'aria-label': `Map of the space of target ${target}`,
    'aria-valuemin': 0,
  });
  const place = element('div', {}, canvas);
  const chosen = element('p', { class: 'quiet' }, 'loading');
  const summary = element('p', {}, '');
  const pieces = liveTable(
    `Free pieces of target ${target}`,
    [
      { title: 'From', number: true, text: ({ from }) => bytes(from) },
      { title: 'Pieces', number: true, text: ({ number }) => count(number) },
    ],
    ({ from }) => String(from),
    'No space is free.',
  );
  const failure = element('div');
  const node = element(
    'section',
    { 'aria-label': `Space of target ${target}` },
    element('h3', {}, 'Map of the space'),
    failure,
    summary,
    place,
    chosen,
    element('details', {}, element('summary', {}, 'Free pieces by size'), pieces.node),
  );
  let map;
  let at = 0;
  let columns = 1;
  let timer;
  let isOver = false;

  const usedOf = (index) => {
    const begin = index * map.bucketBytes;
    const length = Math.min(map.bucketBytes, map.totalBytes - begin);
    return { begin, length, used: 1 - map.freeBytes[index] / length };
  };
  const describe = () => {
    const { begin, length, used } = usedOf(at);
    const begun = map.regions[at];
    const text = `${bytes(begin)} to ${bytes(begin + length)}: ${percent(used)} used, ${count(begun)} ${begun === 1 ? 'region begins' : 'regions begin'} there`;
    setText(chosen, text);
    canvas.setAttribute('aria-valuemax', String(map.freeBytes.length - 1));
    canvas.setAttribute('aria-valuenow', String(at));
    canvas.setAttribute('aria-valuetext', text);
  };
  const draw = () => {
    if (map === undefined || place.clientWidth === 0) return;
    const step = CELL + GAP;
    const number = map.freeBytes.length;
    columns = Math.max(1, Math.floor((place.clientWidth + GAP) / step));
    const rows = Math.ceil(number / columns);
    const scale = devicePixelRatio || 1;
    canvas.width = columns * step * scale;
    canvas.height = rows * step * scale;
    // In pixels of the page; the policy of the page has no styles in attributes, but lets scripts set them.
    canvas.style.width = `${columns * step}px`;
    canvas.style.height = `${rows * step}px`;
    const colours = getComputedStyle(document.documentElement);
    const colour = (name) => colours.getPropertyValue(`--${name}`).trim();
    const [line, full, mark] = [colour('line'), colour('series-1'), colour('series-2')];
    const context = canvas.getContext('2d');
    context.scale(scale, scale);
    for (let index = 0; index < number; index++) {
      const left = (index % columns) * step;
      const top = Math.floor(index / columns) * step;
      context.fillStyle = line;
      context.fillRect(left, top, CELL, CELL);
      const { used } = usedOf(index);
      if (used <= 0) continue;
      // What is used at all is seen.
      const height = Math.max(1, Math.round(used * CELL));
      context.fillStyle = full;
      context.fillRect(left, top + CELL - height, CELL, height);
    }
    context.strokeStyle = mark;
    context.lineWidth = 2;
    context.strokeRect((at % columns) * step, Math.floor(at / columns) * step, CELL, CELL);
  };
  const choose = (index) => {
    if (map === undefined) return;
    at = Math.max(0, Math.min(map.freeBytes.length - 1, index));
    describe();
    draw();
  };
  canvas.addEventListener('pointermove', ({ offsetX, offsetY }) => {
    const step = CELL + GAP;
    choose(Math.floor(offsetY / step) * columns + Math.min(columns - 1, Math.floor(offsetX / step)));
  });
  canvas.addEventListener('keydown', (event) => {
    const steps = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: columns,
      ArrowUp: -columns,
      Home: -Infinity,
      End: Infinity,
    };
    if (!Object.hasOwn(steps, event.key)) return;
    event.preventDefault();
    choose(at + steps[event.key]);
  });
  const load = async () => {
    if (!document.hidden)
      try {
        map = await json(placeOf(provider, target, 'stats', '/space'));
        if (isOver) return;
        failure.replaceChildren();
        const free = map.freeBytes.reduce((sum, each) => sum + each, 0);
        const regions = map.regions.reduce((sum, each) => sum + each, 0);
        const inPieces = `${count(map.freeExtents)} ${map.freeExtents === 1 ? 'piece' : 'pieces'}`;
        setText(
          summary,
          `${bytes(map.totalBytes)}, of which ${bytes(free)} are free, in ${inPieces}; ${count(regions)} regions. Each square is ${bytes(map.bucketBytes)}.`,
        );
        pieces.update(
          map.freeExtentsBySize.flatMap((number, power) =>
            number > 0 ? [{ from: 2 ** power, number }] : [],
          ),
        );
        choose(at);
      } catch (error) {
        if (!isOver) failure.replaceChildren(problem(error));
      }
    if (!isOver) timer = setTimeout(load, REFRESH_MS);
  };
  const resized = new ResizeObserver(draw);
  resized.observe(place);
  dark.addEventListener('change', draw);
  void load();
  return {
    node,
    end() {
      isOver = true;
      clearTimeout(timer);
      resized.disconnect();
      dark.removeEventListener('change', draw);
    },
  };
}
