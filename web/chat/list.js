// A list of any length of which only what is seen is in the page. Rows have the height they turn out to have; the row at the
// top of the view stays where it is whatever is added, loaded or measured above it, and a view at the bottom stays there.

const MARGIN_PX = 700;
const ROWS_MAX = 300_000; // browsers lay out some 33 million pixels
export const UNKNOWN_PX = 58;

export class VirtualList {
  #scroller;
  #content;
  #source;
  #rows = new Map(); // key -> {element, version}
  #heights = new Map(); // key -> measured px
  #offsets = new Float64Array(1);
  #count = 0;
  #validTo = 0; // offsets[0 … validTo] are right
  #atEnd = true;
  #frame = 0;
  #width = 0;
  #setTop = -1;
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
        this.#validTo = 0;
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
    this.#validTo = 0;
    this.#atEnd = true;
    this.render();
  }
  schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.render();
    });
  }
  /** Rows from this index on may have changed in number or height. */
  invalidate(index = 0) {
    this.#validTo = Math.min(this.#validTo, index);
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
    this.#scrollTo(Math.max(0, this.#offsets[Math.min(index, this.#count)] - 60));
    this.render();
    this.onScroll(false);
  }
  elementAt(index) {
    return this.#rows.get(this.#source.key(index))?.element;
  }

  #layout() {
    const count = Math.min(this.#source.count(), ROWS_MAX);
    if (this.#offsets.length < count + 1) {
      const larger = new Float64Array(Math.ceil((count + 1) * 1.5));
      larger.set(this.#offsets.subarray(0, this.#validTo + 1));
      this.#offsets = larger;
    }
    this.#validTo = Math.min(this.#validTo, count);
    for (let i = this.#validTo; i < count; ++i) this.#offsets[i + 1] = this.#offsets[i] + (this.#heights.get(this.#source.key(i)) ?? UNKNOWN_PX);
    this.#count = count;
    this.#validTo = count;
  }
  #indexAt(y) {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#offsets[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return Math.min(low, Math.max(0, this.#count - 1));
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
    // The anchor, by key, from the layout that is on the screen.
    let anchor = null;
    if (!this.#atEnd && this.#count > 0) {
      const top = this.#scroller.scrollTop;
      const index = this.#indexAt(top);
      anchor = { key: this.#anchorKey(index), index, by: this.#offsets[index] - top };
    }
    this.#layout();
    // Measuring may show that rows are smaller than thought, and more of them fit: a few rounds settle it.
    for (let round = 0; round < 4; ++round) {
      const total = this.#offsets[this.#count];
      let top;
      if (this.#atEnd) top = Math.max(0, total - view);
      else if (anchor) top = this.#offsets[this.#find(anchor)] - anchor.by;
      else top = this.#scroller.scrollTop;
      top = Math.max(0, Math.min(top, Math.max(0, total - view)));
      const first = this.#indexAt(Math.max(0, top - MARGIN_PX));
      const last = Math.min(this.#count - 1, this.#indexAt(top + view + MARGIN_PX));
      const measured = this.#place(first, last);
      if (!measured || round === 3) {
        this.#finish(first, last, top);
        return;
      }
      this.#validTo = Math.min(this.#validTo, measured.from);
      this.#layout();
    }
  }

  #anchorKey(index) {
    return this.#shownKeys?.[index - this.#shownFirst] ?? this.#source.key(Math.min(index, this.#source.count() - 1));
  }
  #shownKeys = null;
  #shownFirst = 0;
  #find({ key, index }) {
    const count = this.#count;
    for (let distance = 0; distance < 2000; ++distance) {
      if (index - distance >= 0 && index - distance < count && this.#source.key(index - distance) === key) return index - distance;
      if (index + distance < count && this.#source.key(index + distance) === key) return index + distance;
    }
    return Math.min(index, count - 1);
  }

  /** Puts the rows first…last into the page; what was measured anew, or null. */
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
    this.#shownFirst = first;
    this.#shownKeys = [...wanted];
    let from = Infinity;
    // All reads after all writes: one layout.
    for (const i of made) {
      const key = this.#source.key(i);
      const height = this.#rows.get(key).element.offsetHeight;
      if (this.#heights.get(key) !== height) {
        this.#heights.set(key, height);
        from = Math.min(from, i);
      }
    }
    return from === Infinity ? null : { from };
  }

  #finish(first, last, top) {
    const before = this.#count > 0 ? this.#offsets[first] : 0;
    const after = this.#count > 0 ? this.#offsets[this.#count] - this.#offsets[last + 1] : 0;
    this.#content.style.paddingTop = `${before}px`;
    this.#content.style.paddingBottom = `${after}px`;
    this.#scrollTo(top);
    if (this.#count > 0) this.#source.need(first, last);
  }
}
