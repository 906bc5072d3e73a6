/**
 * A connection as CLIENT INFO and CLIENT LIST describe it: a line of `name=value`, with the fields of Redis 7 that clients parse. What does
 * not exist here, such as subscriptions, has the value that Redis gives where there is none of it.
 */
import type { Socket } from 'node:net';
import { formatHostPort } from '../net/address.js';

/** What a client knows of itself. */
export interface ClientFacts {
  readonly id: number;
  readonly name: string;
  readonly library: { readonly name: string; readonly version: string };
  readonly protocol: number;
  readonly isInTransaction: boolean;
  readonly requests: number;
  readonly lastCommand: string;
  /** By performance.now(). */
  readonly connectedAt: number;
  readonly arrivedAt: number;
  /** Id of the provider that it has selected; 0 if it has not. */
  readonly providerId: number;
  readonly memory: ClientMemory;
}

/** Bytes. */
export interface ClientMemory {
  /** Came, and was not carried out yet. */
  readonly inputBytes: number;
  /** Further ones that there is room for. */
  readonly inputFreeBytes: number;
  /** Of requests that calls have in use. */
  readonly argumentBytes: number;
  /** Replies that the client has not taken, and how many of them are not there yet. */
  readonly replyBytes: number;
  readonly waitingReplies: number;
  /** All that counts against the memory of all clients. */
  readonly heldBytes: number;
}

/** @param unixPath of the socket that those who came by it came by */
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
    ['flags', `${client.isInTransaction ? 'x' : ''}${isUnix ? 'U' : ''}` || 'N'],
    ['db', client.providerId],
    ['sub', 0],
    ['psub', 0],
    ['ssub', 0],
    ['multi', client.isInTransaction ? 0 : -1],
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
