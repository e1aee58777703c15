// One socket write per connection and turn: connections with output are gathered here and flushed together.
//
// What a read produced is flushed at the end of the turn (setImmediate), after all sockets of the turn were read. Output that comes from
// elsewhere (a finished WAL write, the server's own end-of-turn work) is flushed right after the callback that made it: waiting for
// the next setImmediate would cost it another round of the loop.

/** A connection that can be flushed. */
export interface Flushable {
  /** Writes what there is; true if more could be produced and should be, in a later turn. */
  flush(): boolean;
}

/** The flusher of a listener. */
export class TurnFlusher {
  #dirty: Flushable[] = [];
  #isArmed = false;
  /** Set by the connections while they take input. */
  isReading = false;
  readonly #run = (): void => this.#flushAll();

  /** Has `connection` flushed soon; it must not be in line already. */
  add(connection: Flushable): void {
    this.#dirty.push(connection);
    if (this.#isArmed) return;
    this.#isArmed = true;
    if (this.isReading) setImmediate(this.#run);
    else process.nextTick(this.#run);
  }

  #flushAll(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    this.#isArmed = false;
    let more: Flushable[] | undefined;
    for (const connection of dirty) {
      if (connection.flush()) {
        more ??= [];
        more.push(connection);
      }
    }
    if (more !== undefined) setImmediate(() => this.#flushAgain(more));
  }

  /** Long lists: their next part, a turn later, so that reads come in between. */
  #flushAgain(connections: readonly Flushable[]): void {
    const more = connections.filter((connection) => connection.flush());
    if (more.length > 0) setImmediate(() => this.#flushAgain(more));
  }
}
