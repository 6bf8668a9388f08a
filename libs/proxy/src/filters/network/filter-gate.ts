import { FilterStatus, type ConnectionControls, type NetworkStreamFilter } from '../../filter.ts';

/** Asks the network filters of a new connection one after another; `begin` hands it to the terminal filter when none of them holds or closed it. */
export class FilterGate {
  readonly #filters: readonly NetworkStreamFilter[];
  readonly #begin: () => void;
  #next = 0;
  #held = false;
  #over = false;

  constructor(filters: readonly NetworkStreamFilter[], begin: () => void) {
    this.#filters = filters;
    this.#begin = begin;
  }

  start(controls: ConnectionControls): void {
    this.#held = true;
    this.continue(controls);
  }

  /** Nothing happens unless a filter holds the connection. */
  continue(controls: ConnectionControls): void {
    if (!this.#held || this.#over) return;
    for (let filter = this.#filters[this.#next]; filter !== undefined; filter = this.#filters[this.#next]) {
      this.#next++;
      const at = this.#next;
      if (filter.onNewConnection(controls) !== FilterStatus.continue || this.#over || this.#next !== at) return;
    }
    this.#over = true;
    this.#begin();
  }

  /** The connection is over: `begin` will not run. */
  end(): void {
    this.#over = true;
  }
}
