/** Charts of the last minutes. Their figures stand beside them as text, for those who cannot see them. */
import uPlot from './uplot.js';
import { element, setText } from './elements.js';

const HEIGHT = 170;
const dark = matchMedia('(prefers-color-scheme: dark)');

/**
 * @param {string} title
 * @param {{title: string, value: (moment) => number | undefined}[]} series at most four
 * @param {(value: number) => string} format
 */
export function chart(title, series, format) {
  const values = series.map(() => element('span', {}, '—'));
  const legend = series.map((one, index) =>
    element(
      'span',
      {},
      element('span', { class: `swatch swatch-${index + 1}`, 'aria-hidden': 'true' }),
      `${one.title}: `,
      values[index],
    ),
  );
  const place = element('div', { 'aria-hidden': 'true' });
  const node = element(
    'figure',
    {},
    element('figcaption', {}, element('strong', {}, title), ...legend),
    place,
  );
  let plot;
  let data = [[], ...series.map(() => [])];

  const draw = () => {
    plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const axis = {
      stroke: colour('quiet'),
      grid: { stroke: colour('line'), width: 0.5 },
      ticks: { show: false },
    };
    plot = new uPlot(
      {
        width: Math.max(100, place.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
        axes: [axis, { ...axis, size: 70, values: (_plot, ticks) => ticks.map(format) }],
        series: [
          {},
          ...series.map((_one, index) => ({
            stroke: colour(`series-${index + 1}`),
            width: 1.75,
            dash: [[], [7, 3], [2, 2], [10, 3, 2, 3]][index],
            points: { show: false },
          })),
        ],
      },
      data,
      place,
    );
  };
  const resized = new ResizeObserver(() => {
    if (place.clientWidth === 0) return;
    if (plot === undefined) draw();
    else plot.setSize({ width: place.clientWidth, height: HEIGHT });
  });
  resized.observe(place);
  dark.addEventListener('change', draw);
  return {
    node,
    update(moments) {
      data = [
        moments.map(({ time }) => time),
        ...series.map((one) => moments.map((at) => one.value(at) ?? null)),
      ];
      const last = moments.at(-1);
      series.forEach((one, index) => {
        const value = last === undefined ? undefined : one.value(last);
        setText(values[index], value === undefined ? '—' : format(value));
      });
      plot?.setData(data);
    },
    end() {
      resized.disconnect();
      dark.removeEventListener('change', draw);
      plot?.destroy();
    },
  };
}
