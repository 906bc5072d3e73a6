/** The running configuration, and the box for queries about it. */
import { json } from './daemon.js';
import { announce, element, problem } from './elements.js';

const EXAMPLE = '$.providers.{"name": name, "type": type}';

export function configurationView() {
  const whole = element(
    'pre',
    { tabIndex: 0, role: 'region', 'aria-label': 'Running configuration' },
    'loading',
  );
  const expression = element('textarea', { id: 'expression', rows: 3, spellcheck: false, value: EXAMPLE });
  const result = element('div');
  const ask = async () => {
    try {
      const answer = await json('/v1/query', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ expression: expression.value }),
      });
      const text = JSON.stringify(answer, undefined, 2);
      result.replaceChildren(element('pre', { tabIndex: 0, role: 'region', 'aria-label': 'Result' }, text));
      announce('The query has a result.');
    } catch (error) {
      result.replaceChildren(problem(error));
    }
  };
  const form = element(
    'form',
    {
      onsubmit: (event) => {
        event.preventDefault();
        void ask();
      },
    },
    element('label', { for: 'expression' }, 'JSONata expression'),
    expression,
    element('button', { type: 'submit', class: 'main' }, 'Evaluate'),
  );
  json('/v1/config').then(
    (config) => whole.replaceChildren(JSON.stringify(config, undefined, 2)),
    (error) => whole.replaceWith(problem(error)),
  );
  return {
    title: 'Configuration',
    node: element(
      'div',
      {},
      element('h3', {}, 'Query'),
      form,
      result,
      element('h3', {}, 'Running configuration'),
      whole,
    ),
  };
}
