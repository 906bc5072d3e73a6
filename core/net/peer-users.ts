/**
 * Who may use a unix socket, by the user and the group of a peer at the time of its connection
 * (SO_PEERCRED, unix(7)). The system reports them, so nobody can pretend to be another user.
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

/** The user and the group at the other end of a unix socket. */
export interface PeerUser {
  readonly uid: number;
  readonly gid: number;
}

/** Returns who is at the other end; undefined if the system does not know, because the peer has left. */
export type PeerCredentials = (socket: Socket) => PeerUser | undefined;

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
      `${whatFor} need the native addon, which is not built: npx bedrock native build`,
      { cause },
    );
  }
}

/** How the clients of a socket are checked. */
export interface PeerCheck {
  readonly userOf: PeerCredentials;
  admits(user: PeerUser | undefined): boolean;
}

/** How a client is treated that may not use the socket. */
export interface ForeignUsers {
  /** The bytes that it gets. */
  readonly answer: string;
  /** Called for each of them. */
  readonly note?: (socket: Socket, user: PeerUser | undefined) => void;
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
    userOf: credentials,
    // Unknown: the peer has left, or is a user who must not get access by mistake.
    admits: (user) => user !== undefined && (users.has(user.uid) || groups.has(user.gid)),
  };
}

/**
 * Makes a server see only the connections of users who may use it. Call it when all its listeners
 * are added.
 */
export function admitOnly(server: Server, check: PeerCheck, { answer, note }: ForeignUsers): void {
  const listeners = server.listeners('connection') as Accept[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const user = check.userOf(socket);
    if (check.admits(user)) {
      for (const listener of listeners) listener.call(server, socket);
      return;
    }
    note?.(socket, user);
    socket.on('error', () => undefined);
    socket.resume();
    endAndLinger(socket, answer);
  });
}
