/**
 * Who may use a unix socket, by the user and the group that a peer had when it connected
 * (SO_PEERCRED, unix(7)): the system says so, and nobody can pretend to be another one.
 */
import { geteuid } from 'node:process';
import type { Server, Socket } from 'node:net';
import { BedrockError } from '../base/errors.js';
import { endAndLinger } from './linger.js';

export interface UnixSettings {
  /** Permissions of the socket, octal digits. */
  readonly mode: string;
  readonly allow_uids?: readonly number[];
  readonly allow_gids?: readonly number[];
}

type Accept = (socket: Socket) => void;

/**
 * Tells the user and the group at the other end of a unix socket; undefined if the system does not,
 * as the peer has left.
 */
export type PeerCredentials = (socket: Socket) => { uid: number; gid: number } | undefined;

/**
 * @param whatFor keys of the configuration.
 * @throws START_FAILED without the native addon: it alone can ask the system
 */
export async function readPeerCredentials(whatFor: string): Promise<PeerCredentials> {
  const { loadAddon } = await import('../../native/load.js');
  try {
    const addon = loadAddon();
    return (socket) =>
      addon.peerCredentials((socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1);
  } catch (cause) {
    throw new BedrockError(
      'START_FAILED',
      `${whatFor} need the native addon, which is not there: npx bedrock native build`,
      { cause },
    );
  }
}

/** What a socket's clients are checked with. */
export interface PeerCheck {
  admits(socket: Socket): boolean;
}

/**
 * @returns undefined if nobody is refused
 * @throws START_FAILED without the native addon: it alone can ask the system
 */
export async function peerCheckOf({
  allow_uids: uids,
  allow_gids: gids,
}: UnixSettings): Promise<PeerCheck | undefined> {
  if (uids === undefined && gids === undefined) return undefined;
  const credentials = await readPeerCredentials('bedrock.unix.allow_uids and allow_gids');
  // Its own user owns the socket, and could do anything to it in any case.
  const users = new Set([...(uids ?? []), geteuid?.() ?? 0]);
  const groups = new Set(gids);
  return {
    admits: (socket) => {
      const peer = credentials(socket);
      // Unknown: the peer has left, or it is somebody who must not be let in by mistake.
      return peer !== undefined && (users.has(peer.uid) || groups.has(peer.gid));
    },
  };
}

/**
 * Has a server see only the connections of those who may use it. Call it when all its listeners are there.
 * @param refusal what the others get
 */
export function admitOnly(server: Server, check: PeerCheck, refusal: string): void {
  const listeners = server.listeners('connection') as Accept[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    if (check.admits(socket)) {
      for (const listener of listeners) listener.call(server, socket);
      return;
    }
    socket.on('error', () => undefined);
    socket.resume();
    endAndLinger(socket, refusal);
  });
}
