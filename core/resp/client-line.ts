/**
 * Describes a connection for CLIENT INFO and CLIENT LIST: a line of `name=value`, with the fields
 * of Redis 7 that clients parse. Things that do not exist here, such as subscriptions, have the
 * value that Redis gives when there are none.
 */
import type { Socket } from 'node:net';
import { formatHostPort } from '../net/address.js';

/** The facts about a client that its session knows. */
export interface ClientFacts {
  readonly id: number;
  readonly name: string;
  readonly library: { readonly name: string; readonly version: string };
  readonly protocol: number;
  /** Commands in its transaction; -1 without one. */
  readonly queued: number;
  readonly requests: number;
  readonly lastCommand: string;
  /** By performance.now(). */
  readonly connectedAt: number;
  readonly arrivedAt: number;
  /** Id of the provider that it has selected; 0 if none. */
  readonly providerId: number;
  readonly memory: ClientMemory;
}

/** Memory of a client, bytes. */
export interface ClientMemory {
  /** Received, and not carried out yet. */
  readonly inputBytes: number;
  /** Room for more input. */
  readonly inputFreeBytes: number;
  /** Arguments that calls are using. */
  readonly argumentBytes: number;
  /** Replies that the client has not taken, and the number of replies that are not ready. */
  readonly replyBytes: number;
  readonly waitingReplies: number;
  /** Everything that counts against the memory of all clients. */
  readonly heldBytes: number;
}

/** @param unixPath path of the socket, for clients that connected through it */
export function clientLine(client: ClientFacts, socket: Socket, unixPath: string | undefined): string {
  const { id, name, library, memory, protocol } = client;
  const isUnix = socket.remoteAddress === undefined;
  const fields: readonly (readonly [string, string | number])[] = [
    ['id', id],
    ['addr', isUnix ? `${unixPath ?? ''}:0` : addressOf(socket.remoteAddress, socket.remotePort)],
    ['laddr', isUnix ? `${unixPath ?? ''}:0` : addressOf(socket.localAddress, socket.localPort)],
    ['fd', descriptorOf(socket)],
    ['name', name],
    ['age', secondsSince(client.connectedAt)],
    ['idle', secondsSince(client.arrivedAt)],
    ['flags', `${client.queued >= 0 ? 'x' : ''}${isUnix ? 'U' : ''}` || 'N'],
    ['db', client.providerId],
    ['sub', 0],
    ['psub', 0],
    ['ssub', 0],
    ['multi', client.queued],
    ['qbuf', memory.inputBytes],
    ['qbuf-free', memory.inputFreeBytes],
    ['argv-mem', memory.argumentBytes],
    ['multi-mem', 0],
    ['obl', 0],
    ['oll', memory.waitingReplies],
    ['omem', memory.replyBytes],
    ['tot-mem', memory.heldBytes],
    ['events', socket.writableLength > 0 ? 'rw' : 'r'],
    ['cmd', client.lastCommand],
    ['user', 'default'],
    ['redir', -1],
    ['resp', protocol],
    ['lib-name', library.name],
    ['lib-ver', library.version],
    ['tot-cmds', client.requests],
  ];
  return `${fields.map(([field, value]) => `${field}=${value}`).join(' ')}\n`;
}

function addressOf(host: string | undefined, port: number | undefined): string {
  return formatHostPort({ host: host ?? '', port: port ?? 0 });
}

function secondsSince(at: number): number {
  return Math.floor((performance.now() - at) / 1000);
}

function descriptorOf(socket: Socket): number {
  return (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
}
