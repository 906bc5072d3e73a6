/** The page of a daemon: which view is shown, and the status that all of them get. */
import { configurationView } from './configuration.js';
import { connectionsView } from './connections.js';
import { contentsView } from './names.js';
import { follow } from './daemon.js';
import { element, setText } from './elements.js';
import { operationsView } from './operations.js';
import { overviewView } from './overview.js';
import { providerView } from './provider.js';
import { History } from './rates.js';
import { duration } from './units.js';

/** By the first step of the address behind `#/`. A view is `{title, node, update?(history), end?()}`. */
const VIEWS = {
  '': overviewView,
  provider: providerView,
  contents: contentsView,
  operations: operationsView,
  connections: connectionsView,
  configuration: configurationView,
};

const main = document.getElementById('main');
const state = document.getElementById('state');
const history = new History();
let shown;

/** @param {boolean} isMoved whether the reader went there, rather than came to the page */
function show(isMoved) {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  const [first = '', ...steps] = path.split('/').map(decodeURIComponent);
  shown?.end?.();
  const make = Object.hasOwn(VIEWS, first) ? VIEWS[first] : overviewView;
  shown = make(steps, new URLSearchParams(query));
  const heading = element('h2', { tabIndex: -1 }, shown.title);
  main.replaceChildren(heading, shown.node);
  document.title = `${shown.title} – bedrock`;
  for (const link of document.querySelectorAll('header nav a')) {
    if (link.hash === `#/${first}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (history.status !== undefined) shown.update?.(history);
  if (isMoved) heading.focus();
}

addEventListener('hashchange', () => {
  if (location.hash === '#main') main.focus();
  else show(true);
});
show(false);

void follow(
  (status) => {
    history.take(status);
    setText(state, `${status.version}, up ${duration(status.process.uptimeMs)}`);
    state.className = '';
    // A page that nobody sees is brought up to date when it is seen.
    if (!document.hidden) shown.update?.(history);
  },
  (text) => {
    setText(state, `${text}; trying again`);
    state.className = 'bad';
  },
);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && history.status !== undefined) shown.update?.(history);
});
