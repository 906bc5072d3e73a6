/** Requests to the daemon that serves this page, with its token where it asks for one, and the stream of its status. */
import { element, showDialog } from './elements.js';

/** In the tab alone: neither other tabs nor a later visit have it. */
const KEPT_AS = 'bedrock-token';

/** While one is asked for, all requests wait for the same answer. */
let asking;

export function token() {
  return sessionStorage.getItem(KEPT_AS) ?? undefined;
}

/** An answer that is an error, with the daemon's own code and text. */
export class DaemonError extends Error {
  constructor(status, code, detail) {
    super(code === undefined ? detail : `${code}: ${detail}`);
    this.status = status;
    this.code = code;
  }
}

/** @throws {DaemonError} */
export async function call(method, path, { headers = {}, body, signal } = {}) {
  for (;;) {
    const used = token();
    const response = await fetch(path, {
      method,
      headers: { ...headers, ...(used !== undefined && { authorization: `Bearer ${used}` }) },
      body,
      signal,
      cache: 'no-store',
    });
    if (response.ok) return response;
    if (response.status !== 401) throw await failureOf(response);
    const reason = (await failureOf(response)).message;
    // Another request may have got one meanwhile.
    if (token() === used) await askForToken(used === undefined ? undefined : reason);
  }
}

/** The value of a JSON answer. */
export async function json(path, options) {
  return (await call(options?.method ?? 'GET', path, options)).json();
}

export async function failureOf(response) {
  const text = await response.text();
  return failureFrom(response.status, text, response.statusText);
}

export function failureFrom(status, text, otherwise) {
  try {
    const { code, detail } = JSON.parse(text);
    return new DaemonError(status, code, detail);
  } catch {
    return new DaemonError(status, undefined, text || otherwise || `status ${status}`);
  }
}

function askForToken(reason) {
  return (asking ??= new Promise((resolve) => {
    const input = element('input', {
      type: 'password',
      id: 'token',
      autocomplete: 'off',
      required: true,
      autofocus: true,
    });
    const form = element(
      'form',
      {
        onsubmit: (event) => {
          event.preventDefault();
          sessionStorage.setItem(KEPT_AS, input.value.trim());
          dialog.close();
        },
      },
      element('label', { for: 'token' }, 'Token'),
      input,
      element('button', { type: 'submit', class: 'main' }, 'Use it'),
    );
    const text = reason ?? 'This daemon asks for a token. It is kept until this tab is closed.';
    const dialog = showDialog('Token', [element('p', {}, text), form], { isSmall: true });
    // Without one there is nothing to show.
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    dialog.addEventListener('close', () => {
      asking = undefined;
      resolve();
    });
  }));
}

/** Places of a target's regions and names. */
export function placeOf(provider, target, what, rest = '') {
  const query = target === 0 ? '' : `?target=${target}`;
  return `/v1/providers/${encodeURIComponent(provider)}/${what}${rest}${query}`;
}

/** Waits from 1 to 10 s before it tries again. */
const RETRY_MS = [1000, 2000, 5000, 10_000];

/**
 * Follows the status of the daemon for ever. Where the stream ends it begins anew.
 * @param {(status: object) => void} onStatus
 * @param {(text: string) => void} onTrouble
 */
export async function follow(onStatus, onTrouble) {
  for (let failures = 0; ; failures++) {
    try {
      const response = await call('GET', '/v1/status/events', { headers: { accept: 'text/event-stream' } });
      for await (const data of eventsOf(response.body)) {
        failures = 0;
        onStatus(JSON.parse(data));
      }
      onTrouble('the daemon has ended the connection');
    } catch (error) {
      onTrouble(error instanceof DaemonError ? error.message : 'the daemon cannot be reached');
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
  }
}

/** The data of server-sent events; this daemon sends each as one line. EventSource could not send a token. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = text.slice(0, end);
      text = text.slice(end + 2);
      if (event.startsWith('data: ')) yield event.slice(6);
    }
  }
}
