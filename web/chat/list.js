// A list of any length of which only what is seen is in the page. Rows have the height they turn out to have; the row at the
// top of the view stays where it is whatever is added, loaded or measured above it, and a view at the bottom stays there.

const MARGIN_PX = 700;
const ROWS_MAX = 300_000; // browsers lay out some 33 million pixels
const UNKNOWN_PX = 58;
const BLOCK_ROWS = 256; // heights are summed by block, so that a change costs a block and not the history

export class VirtualList {
  #scroller;
  #content;
  #source;
  #rows = new Map(); // key -> {element, version}
  #heights = new Map(); // key -> measured px
  #count = 0;
  #blocks = []; // height of each block of rows; undefined: to be summed
  #starts = [0]; // where each block begins
  #atEnd = true;
  #frame = 0;
  #width = 0;
  #setTop = -1;
  #anchor = { key: null, index: 0, by: 0, top: 0 };
  stats = { renders: 0, rowsMade: 0 };

  /**
   * source: count(), key(index), version(index) (a row with another version is made anew), make(index) -> element,
   * need(first, last): these rows are looked at. onScroll(atEnd) after each scroll.
   */
  constructor(scroller, content, source, onScroll = () => {}) {
    this.#scroller = scroller;
    this.#content = content;
    this.#source = source;
    this.onScroll = onScroll;
    scroller.addEventListener(
      "scroll",
      () => {
        const top = scroller.scrollTop;
        // Our own corrections are no wish of the reader's.
        if (Math.abs(top - this.#setTop) > 1) this.#atEnd = top + scroller.clientHeight >= scroller.scrollHeight - 24;
        this.#setTop = -1;
        this.onScroll(this.#atEnd);
        this.schedule();
      },
      { passive: true },
    );
    new ResizeObserver(() => {
      if (scroller.clientWidth !== this.#width) {
        this.#width = scroller.clientWidth;
        this.#heights.clear();
        this.#blocks = [];
      }
      this.render();
    }).observe(scroller);
  }

  get atEnd() {
    return this.#atEnd;
  }
  /** Another list in the same place. */
  reset() {
    for (const { element } of this.#rows.values()) element.remove();
    this.#rows.clear();
    this.#heights.clear();
    this.#blocks = [];
    this.#atEnd = true;
    this.render();
  }
  schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.render();
    });
  }
  /** From this index on there may be other rows, more or fewer. */
  invalidate(index = 0) {
    this.#blocks.length = Math.min(this.#blocks.length, Math.floor(index / BLOCK_ROWS));
    this.schedule();
  }
  toEnd() {
    this.#atEnd = true;
    this.render();
    this.onScroll(true);
  }
  toIndex(index) {
    this.#atEnd = false;
    this.#layout();
    this.#scrollTo(Math.max(0, this.#offset(Math.min(index, this.#count)) - 60));
    this.render();
    this.onScroll(false);
  }
  elementAt(index) {
    return this.#rows.get(this.#source.key(index))?.element;
  }

  #height(index) {
    return this.#heights.get(this.#source.key(index)) ?? UNKNOWN_PX;
  }
  #layout() {
    const count = Math.min(this.#source.count(), ROWS_MAX);
    if (count !== this.#count) this.#blocks.length = Math.min(this.#blocks.length, Math.floor(Math.min(count, this.#count) / BLOCK_ROWS));
    this.#count = count;
    const blocks = Math.ceil(count / BLOCK_ROWS);
    for (let b = 0; b < blocks; ++b) {
      if (this.#blocks[b] === undefined) {
        let sum = 0;
        for (let i = b * BLOCK_ROWS; i < Math.min(count, (b + 1) * BLOCK_ROWS); ++i) sum += this.#height(i);
        this.#blocks[b] = sum;
      }
      this.#starts[b + 1] = this.#starts[b] + this.#blocks[b];
    }
    this.#starts.length = blocks + 1;
  }
  get #total() {
    return this.#starts[this.#starts.length - 1];
  }
  /** Where a row begins; of the row after the last: where all end. */
  #offset(index) {
    const block = Math.floor(index / BLOCK_ROWS);
    let offset = this.#starts[Math.min(block, this.#starts.length - 1)];
    for (let i = block * BLOCK_ROWS; i < index; ++i) offset += this.#height(i);
    return offset;
  }
  #indexAt(y) {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle] <= y) low = middle;
      else high = middle;
    }
    let index = low * BLOCK_ROWS;
    for (let end = this.#starts[low]; index < this.#count; ++index) {
      end += this.#height(index);
      if (end > y) break;
    }
    return Math.min(index, Math.max(0, this.#count - 1));
  }
  #scrollTo(top) {
    if (Math.abs(this.#scroller.scrollTop - top) < 0.5) return;
    this.#scroller.scrollTop = top;
    this.#setTop = this.#scroller.scrollTop;
  }

  render() {
    ++this.stats.renders;
    const view = this.#scroller.clientHeight;
    if (view === 0) return;
    // Where the reader is, in the layout that is on the screen.
    if (Math.abs(this.#scroller.scrollTop - this.#anchor.top) > 1) this.#dropAnchor(this.#scroller.scrollTop);
    const anchor = this.#anchor;
    this.#layout();
    // Measuring may show that rows are smaller than thought, and more of them fit: a few rounds settle it.
    for (let round = 0; round < 4; ++round) {
      const total = this.#total;
      let top;
      if (this.#atEnd) top = Math.max(0, total - view);
      else top = this.#offset(this.#find(anchor)) - anchor.by;
      top = Math.max(0, Math.min(top, Math.max(0, total - view)));
      const first = this.#indexAt(Math.max(0, top - MARGIN_PX));
      const last = Math.min(this.#count - 1, this.#indexAt(top + view + MARGIN_PX));
      const measured = this.#place(first, last);
      if (!measured || round === 3) {
        this.#finish(first, last, top);
        return;
      }
      this.#layout();
    }
  }

  /** Remembers the row at the top of the view, and how far above the top it begins. */
  #dropAnchor(top) {
    const index = this.#indexAt(top);
    const isRow = this.#count > 0 && index < this.#source.count();
    this.#anchor = { key: isRow ? this.#source.key(index) : null, index, by: this.#offset(index) - top, top };
  }
  /** The row's index now: rows above it may have gone. */
  #find({ key, index }) {
    const count = this.#count;
    for (let distance = 0; distance < 2000; ++distance) {
      if (index - distance >= 0 && index - distance < count && this.#source.key(index - distance) === key) return index - distance;
      if (index + distance < count && this.#source.key(index + distance) === key) return index + distance;
    }
    return Math.max(0, Math.min(index, count - 1));
  }

  /** Puts the rows first…last into the page; true when heights turned out otherwise. */
  #place(first, last) {
    const wanted = new Set();
    const made = [];
    let next = this.#content.firstChild;
    for (let i = first; i <= last; ++i) {
      const key = this.#source.key(i);
      const version = this.#source.version(i);
      wanted.add(key);
      let row = this.#rows.get(key);
      if (row && row.version !== version) {
        const element = this.#source.make(i);
        if (row.element === next) next = element;
        const hadFocus = row.element.contains(document.activeElement);
        row.element.replaceWith(element);
        if (hadFocus) element.focus({ preventScroll: true });
        Object.assign(row, { element, version });
        made.push(i);
      } else if (!row) {
        row = { element: this.#source.make(i), version };
        ++this.stats.rowsMade;
        this.#rows.set(key, row);
        made.push(i);
      } else if (!this.#heights.has(key)) made.push(i);
      if (row.element === next) next = next.nextSibling;
      else this.#content.insertBefore(row.element, next);
    }
    for (const [key, { element }] of this.#rows)
      if (!wanted.has(key)) {
        element.remove();
        this.#rows.delete(key);
      }
    let isNew = false;
    // All reads after all writes: one layout.
    for (const i of made) {
      const key = this.#source.key(i);
      const height = this.#rows.get(key).element.offsetHeight;
      if (this.#heights.get(key) !== height) {
        this.#heights.set(key, height);
        this.#blocks[Math.floor(i / BLOCK_ROWS)] = undefined;
        isNew = true;
      }
    }
    return isNew;
  }

  #finish(first, last, top) {
    const before = this.#count > 0 ? this.#offset(first) : 0;
    const after = this.#count > 0 ? this.#total - this.#offset(last + 1) : 0;
    this.#content.style.paddingTop = `${before}px`;
    this.#content.style.paddingBottom = `${after}px`;
    this.#scrollTo(top);
    this.#dropAnchor(this.#scroller.scrollTop);
    if (this.#count > 0) this.#source.need(first, last);
  }
}
