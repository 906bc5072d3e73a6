/** What a region holds: as text, as hexadecimal digits, as a picture. Nothing of it is ever run or taken for markup. */
import { call } from './daemon.js';
import { element, problem, showDialog } from './elements.js';
import { bytes } from './units.js';

const PREVIEW_BYTES = 64 * 1024;
const HEX_BYTES = 8 * 1024;
const IMAGE_BYTES = 16 * 2 ** 20;

const ANY = undefined;

/** First bytes of the formats that browsers show as pictures. */
const IMAGES = [
  ['image/png', [0x89, 0x50, 0x4e, 0x47]],
  ['image/jpeg', [0xff, 0xd8, 0xff]],
  ['image/gif', [0x47, 0x49, 0x46, 0x38]],
  ['image/bmp', [0x42, 0x4d]],
  ['image/webp', [0x52, 0x49, 0x46, 0x46, ANY, ANY, ANY, ANY, 0x57, 0x45, 0x42, 0x50]],
];

/** @param {Uint8Array} head */
function imageType(head) {
  return IMAGES.find(([, magic]) => magic.every((byte, index) => byte === ANY || head[index] === byte))?.[0];
}

/** @returns {string | undefined} nothing if it is no text; a character that is cut off at the end is left out */
function textOf(head) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
    // oxlint-disable-next-line no-control-regex -- it looks for them
    return /[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** As hexdump -C shows it. @param {Uint8Array} head */
function hexOf(head) {
  const lines = [];
  for (let offset = 0; offset < Math.min(head.length, HEX_BYTES); offset += 16) {
    const row = [...head.subarray(offset, offset + 16)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const characters = row
      .map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.'))
      .join('');
    lines.push(`${offset.toString(16).padStart(8, '0')}  ${digits.padEnd(47)}  |${characters}|`);
  }
  return lines.join('\n');
}

/**
 * @param {string} title
 * @param {string} place of the region
 * @param {number} size
 */
export async function preview(title, place, size) {
  const shown = element('div', {}, 'loading');
  const choice = element('div', { class: 'row', role: 'group', 'aria-label': 'Shown as' });
  const note = element('p', { class: 'quiet' }, bytes(size));
  const close = element('button', { type: 'button', onclick: () => dialog.close() }, 'Close');
  const dialog = showDialog(title, [note, choice, shown, element('div', { class: 'row' }, close)]);
  const gone = new AbortController();
  let picture;
  dialog.addEventListener('close', () => {
    gone.abort();
    if (picture !== undefined) URL.revokeObjectURL(picture);
  });
  const get = async (end) => {
    if (size === 0) return new Uint8Array();
    const options = { headers: { range: `bytes=0-${end - 1}` }, signal: gone.signal };
    return new Uint8Array(await (await call('GET', place, options)).arrayBuffer());
  };
  const block = (text, label) => element('pre', { tabIndex: 0, role: 'region', 'aria-label': label }, text);
  try {
    const head = await get(Math.min(size, PREVIEW_BYTES));
    const type = size <= IMAGE_BYTES ? imageType(head) : undefined;
    const text = textOf(head);
    const forms = {
      ...(type !== undefined && {
        Image: async () => {
          picture ??= URL.createObjectURL(new Blob([await get(size)], { type }));
          return element('img', { src: picture, alt: `Picture in ${title}` });
        },
      }),
      ...(text !== undefined && { Text: () => block(text, 'Text') }),
      Hex: () => block(hexOf(head), 'Hexadecimal digits'),
    };
    const show = async (form) => {
      for (const button of choice.children)
        button.setAttribute('aria-pressed', String(button.textContent === form));
      const cut = form === 'Hex' ? HEX_BYTES : PREVIEW_BYTES;
      note.textContent =
        form !== 'Image' && size > cut ? `${bytes(size)}, of which the first ${bytes(cut)}` : bytes(size);
      try {
        shown.replaceChildren(await forms[form]());
      } catch (error) {
        shown.replaceChildren(problem(error));
      }
    };
    choice.replaceChildren(
      ...Object.keys(forms).map((form) =>
        element('button', { type: 'button', onclick: () => void show(form) }, form),
      ),
    );
    await show(Object.keys(forms)[0]);
  } catch (error) {
    if (!gone.signal.aborted) shown.replaceChildren(problem(error));
  }
}
