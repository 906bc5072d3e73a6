/** What targets hold: names as a tree, and regions by their IDs; upload, download, preview, deletion. */
import { call, failureFrom, json, placeOf, token } from './daemon.js';
import { announce, confirmed, element, liveTable, problem } from './elements.js';
import { preview } from './preview.js';
import { bytes, moment } from './units.js';

const PAGE = 200;

export function contentsView([provider, target = '0'], query) {
  if (provider === undefined) return chooser();
  const index = Number(target);
  const by = query.get('by') === 'id' ? 'id' : 'name';
  const prefix = query.get('prefix') ?? '';
  const node = element('div');
  void browse(node, { provider, index, by, prefix });
  return { title: `Contents of ${provider}${index === 0 ? '' : `, target ${index}`}`, node };
}

function chooser() {
  const table = liveTable(
    'Targets',
    [
      {
        title: 'Provider',
        node: ({ provider, index }) =>
          element(
            'a',
            { href: linkTo({ provider, index }) },
            index === 0 ? provider : `${provider}, target ${index}`,
          ),
      },
      { title: 'Backend', text: ({ type }) => type },
      { title: 'Regions', number: true, text: ({ stats }) => String(stats?.regions ?? '—') },
      { title: 'Used', number: true, text: ({ stats }) => bytes(stats?.usedBytes) },
    ],
    ({ provider, index }) => `${provider}/${index}`,
    'No provider has targets.',
  );
  return {
    title: 'Contents',
    node: table.node,
    update: ({ status }) =>
      table.update(
        status.providers.flatMap(({ name, targets }) =>
          targets.map((one, index) => ({ ...one, provider: name, index })),
        ),
      ),
  };
}

function linkTo({ provider, index, by, prefix }) {
  const query = new URLSearchParams();
  if (by === 'id') query.set('by', 'id');
  if (prefix) query.set('prefix', prefix);
  const text = query.toString();
  return `#/contents/${encodeURIComponent(provider)}/${index}${text && `?${text}`}`;
}

/** Clients shorten the steps `.` and `..` of a path, so these two names cannot be sent. */
function placeOfRegion({ provider, index }, { name, id }) {
  const isByName = name !== undefined && name !== '.' && name !== '..';
  const rest = isByName ? `/${encodeURIComponent(name)}` : `/${id}`;
  return placeOf(provider, index, isByName ? 'names' : 'regions', rest);
}

async function browse(node, where) {
  const { provider, index, by, prefix } = where;
  const failure = element('div');
  const rows = [];
  let after;
  try {
    const { providers } = await json('/v1/providers');
    const target = providers.find(({ name }) => name === provider)?.targets[index];
    if (target === undefined) throw new Error('There is no such target.');
    const isNamed = target.capabilities.named;
    const isByName = isNamed && by === 'name';
    const fail = (error) => failure.replaceChildren(problem(error));

    const load = async () => {
      try {
        const options = new URLSearchParams({ limit: String(PAGE) });
        if (index > 0) options.set('target', String(index));
        if (isByName) {
          options.set('delimiter', '/');
          if (prefix) options.set('prefix', prefix);
        }
        if (after !== undefined) options.set('after', after);
        const place = placeOf(provider, 0, isByName ? 'names' : 'regions');
        const page = await json(`${place}?${options}`);
        rows.push(...(page.prefixes ?? []).map((folder) => ({ folder })), ...(page.names ?? page.regions));
        after = page.next;
        more.hidden = after === undefined;
        table.update(rows);
      } catch (error) {
        fail(error);
      }
    };
    const reload = async () => {
      rows.length = 0;
      after = undefined;
      await load();
    };
    const table = entryTable(where, isByName, { fail, reload });
    const more = element('button', { type: 'button', hidden: true, onclick: () => void load() }, 'Show more');
    node.replaceChildren(
      ...(isNamed ? [choiceOf(where)] : []),
      ...(isByName ? [pathOf(where)] : []),
      uploadForm(where, isNamed, { fail, reload, failure }),
      failure,
      table.node,
      more,
    );
    await load();
  } catch (error) {
    node.replaceChildren(problem(error));
  }
}

function choiceOf(where) {
  const link = (by, text) =>
    element(
      'a',
      {
        class: 'button',
        href: linkTo({ ...where, by, prefix: '' }),
        'aria-current': where.by === by ? 'true' : undefined,
      },
      text,
    );
  return element(
    'nav',
    { class: 'row', 'aria-label': 'Listed' },
    link('name', 'By name'),
    link('id', 'By ID'),
  );
}

/** The steps of the prefix, each a link. */
function pathOf(where) {
  const steps = where.prefix.split('/').slice(0, -1);
  const links = steps.map((step, at) =>
    element(
      'a',
      { href: linkTo({ ...where, prefix: `${steps.slice(0, at + 1).join('/')}/` }) },
      `${step || '(empty)'}/`,
    ),
  );
  const root = element('a', { href: linkTo({ ...where, prefix: '' }) }, 'all names');
  return element('nav', { class: 'row', 'aria-label': 'Place' }, root, ...links);
}

function entryTable(where, isByName, { fail, reload }) {
  const shortOf = ({ name, id }) =>
    name === undefined ? id : isByName ? name.slice(where.prefix.length) : name;
  const titleOf = ({ name, id }) => name ?? id;
  const button = (title, row, act, kind) =>
    element(
      'button',
      {
        type: 'button',
        class: kind,
        'aria-label': `${title} ${titleOf(row)}`,
        onclick: () => void act(row).catch(fail),
      },
      title,
    );
  const erase = async (row) => {
    const place = placeOfRegion(where, row);
    const question = `Delete ${titleOf(row)}, ${bytes(row.size)}? This cannot be undone.`;
    if (!(await confirmed('Delete', question, 'Delete'))) return;
    // Only what was listed: the name may have got other contents since.
    await call('DELETE', place, { headers: { 'if-match': `"${row.id}"` } });
    announce(`Deleted ${titleOf(row)}.`);
    await reload();
  };
  return liveTable(
    'Contents',
    [
      {
        title: isByName ? 'Name' : 'ID',
        class: 'name',
        node: (row) =>
          row.folder === undefined
            ? element('span', { title: titleOf(row) }, isByName ? shortOf(row) : row.id)
            : element(
                'a',
                { href: linkTo({ ...where, prefix: row.folder }) },
                row.folder.slice(where.prefix.length),
              ),
      },
      { title: 'Size', number: true, text: ({ size }) => (size === undefined ? '' : bytes(size)) },
      { title: 'Created (UTC)', text: ({ createdAt }) => (createdAt === undefined ? '' : moment(createdAt)) },
      {
        title: 'Actions',
        node: (row) =>
          row.folder === undefined
            ? element(
                'span',
                { class: 'row' },
                button('Preview', row, (one) => preview(titleOf(one), placeOfRegion(where, one), one.size)),
                button('Download', row, (one) => download(where, one)),
                button('Delete', row, erase, 'danger'),
              )
            : element('span'),
      },
    ],
    // A name that has got other contents is another row.
    ({ folder, name, id }) => (folder === undefined ? `n ${id} ${name ?? ''}` : `f ${folder}`),
    'Nothing here.',
  );
}

async function download(where, row) {
  const place = placeOfRegion(where, row);
  const file = (row.name ?? row.id).split('/').at(-1) || row.id;
  if (token() === undefined) {
    element('a', { href: place, download: file }).click();
    return;
  }
  // A link could not send the token.
  const url = URL.createObjectURL(await (await call('GET', place)).blob());
  element('a', { href: url, download: file }).click();
  // The browser has opened it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function uploadForm(where, isNamed, { fail, reload, failure }) {
  const files = element('input', { type: 'file', id: 'files', required: true });
  const name = element('input', {
    type: 'text',
    id: 'name',
    defaultValue: where.by === 'name' ? where.prefix : '',
    required: true,
  });
  const replace = element('input', { type: 'checkbox', id: 'replace' });
  const progress = element('progress', { 'aria-label': 'Upload', max: 1, value: 0, hidden: true });
  files.addEventListener('change', () => {
    const [file] = files.files;
    if (file !== undefined && (name.value === '' || name.value.endsWith('/'))) name.value += file.name;
  });
  const upload = async () => {
    const [file] = files.files;
    if (file === undefined) return;
    failure.replaceChildren();
    progress.hidden = false;
    try {
      const place = isNamed
        ? placeOfRegion(where, { name: name.value })
        : placeOf(where.provider, where.index, 'regions');
      const headers = isNamed && !replace.checked ? { 'if-none-match': '*' } : {};
      await send(isNamed ? 'PUT' : 'POST', place, headers, file, (part) => (progress.value = part));
      announce(`Uploaded ${file.name}.`);
      form.reset();
      await reload();
    } catch (error) {
      if (error.code === 'PRECONDITION_FAILED')
        fail(new Error('This name exists already. Tick "replace" to give it new contents.'));
      else fail(error);
    } finally {
      progress.hidden = true;
    }
  };
  const form = element(
    'form',
    {
      'aria-label': 'Upload',
      onsubmit: (event) => {
        event.preventDefault();
        void upload();
      },
    },
    element('label', { for: 'files' }, 'File'),
    files,
    ...(isNamed
      ? [
          element('label', { for: 'name' }, 'Name'),
          name,
          replace,
          element('label', { for: 'replace' }, 'replace'),
        ]
      : []),
    element('button', { type: 'submit', class: 'main' }, 'Upload'),
    progress,
  );
  return form;
}

/** By XMLHttpRequest: fetch does not tell how far an upload is. */
function send(method, place, headers, body, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, place);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.setRequestHeader('content-type', 'application/octet-stream');
    if (token() !== undefined) request.setRequestHeader('authorization', `Bearer ${token()}`);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total === 0 ? 1 : loaded / total);
    request.onerror = () => reject(new Error('The daemon ended the connection.'));
    request.onload = () =>
      request.status < 300
        ? resolve()
        : reject(failureFrom(request.status, request.responseText, request.statusText));
    request.send(body);
  });
}
