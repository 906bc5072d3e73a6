/**
 * Parts of the page. Text is only ever set as text: names and contents of regions come from anybody, and none of them becomes markup.
 *
 * What is live is changed in place, where it differs, so that the focus, a selection and the place of a screen reader stay where they are.
 */

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] `on…` are listeners, `class` and names with a dash are attributes, others properties
 * @param {...(Node | string | undefined)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'class' || name === 'role' || name === 'for' || name.includes('-'))
      made.setAttribute(name, String(value));
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Sets text that differs. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Tells screen readers. */
export function announce(text) {
  setText(document.getElementById('announcements'), text);
}

/** A message that something failed. */
export function problem(error) {
  const text = error instanceof Error ? error.message : String(error);
  return element('p', { class: 'problem', role: 'alert' }, text);
}

/** Sentences with a number each: `update` takes the texts in the order of the titles. */
export function figures(titles) {
  const values = titles.map(() => element('dd', {}, '—'));
  const list = element(
    'dl',
    { class: 'figures' },
    ...titles.map((title, index) => element('div', {}, element('dt', {}, title), values[index])),
  );
  return {
    node: list,
    update: (texts) => texts.forEach((text, index) => setText(values[index], text)),
  };
}

/**
 * A table whose rows come, go and change.
 * @param {string} caption
 * @param {{title: string, number?: boolean, class?: string, text?: (row) => string, tone?: (row) => string, node?: (row) => Node,
 *   refresh?: (node, row) => void}[]} columns `text` is read at each update; `node` is made once for a row, and changed by `refresh`
 * @param {(row) => string} keyOf
 * @param {string} [nothing] shown where there are no rows
 */
export function liveTable(caption, columns, keyOf, nothing = 'none') {
  const body = element('tbody');
  const empty = element('p', { class: 'quiet' }, nothing);
  const kindOf = ({ number, class: own }) => (number ? 'number' : (own ?? undefined));
  const table = element(
    'table',
    {},
    element('caption', {}, caption),
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        ...columns.map((one) => element('th', { scope: 'col', class: kindOf(one) }, one.title)),
      ),
    ),
    body,
  );
  const scroll = element(
    'div',
    { class: 'scroll', role: 'region', tabIndex: 0, 'aria-label': caption },
    table,
  );
  const node = element('div', {}, scroll, empty);
  const rows = new Map();
  const add = (row) => {
    const cells = columns.map((one) => {
      const cell = element('td', { class: kindOf(one) });
      if (one.node !== undefined) cell.append(one.node(row));
      return cell;
    });
    return element('tr', {}, ...cells);
  };
  const refresh = (line, row) =>
    columns.forEach((one, index) => {
      const cell = line.cells[index];
      if (one.text !== undefined) setText(cell, one.text(row));
      if (one.tone !== undefined) cell.className = [kindOf(one), one.tone(row)].filter(Boolean).join(' ');
      if (one.refresh !== undefined) one.refresh(cell.firstChild, row);
    });
  return {
    node,
    update(list) {
      const keys = new Set(list.map(keyOf));
      for (const [key, line] of rows)
        if (!keys.has(key)) {
          line.remove();
          rows.delete(key);
        }
      list.forEach((row, index) => {
        const key = keyOf(row);
        const line = rows.get(key) ?? add(row);
        rows.set(key, line);
        if (body.children[index] !== line) body.insertBefore(line, body.children[index] ?? null);
        refresh(line, row);
      });
      scroll.hidden = list.length === 0;
      empty.hidden = list.length > 0;
    },
  };
}

/**
 * Shows a dialog, and removes it when it is closed.
 * @returns the dialog; `close` ends it
 */
export function showDialog(title, contents, { isSmall = false } = {}) {
  const heading = element('h2', { id: 'dialog-title' }, title);
  const dialog = element(
    'dialog',
    { class: isSmall ? 'small' : undefined, 'aria-labelledby': 'dialog-title' },
    heading,
    ...contents,
  );
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before something that cannot be undone. @returns {Promise<boolean>} */
export function confirmed(title, question, action) {
  return new Promise((resolve) => {
    const yes = element(
      'button',
      { type: 'button', class: 'danger', onclick: () => dialog.close('yes') },
      action,
    );
    const no = element(
      'button',
      { type: 'button', autofocus: true, onclick: () => dialog.close('') },
      'Cancel',
    );
    const contents = [element('p', {}, question), element('div', { class: 'row' }, no, yes)];
    const dialog = showDialog(title, contents, { isSmall: true });
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'));
  });
}

/** How full something is. */
export function fillMeter(label) {
  return element('meter', { min: 0, max: 1, low: 0.75, high: 0.9, optimum: 0, 'aria-label': label });
}
