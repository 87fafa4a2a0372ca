// Elements from data. Text only ever becomes text: nothing here parses HTML.

export const $ = (id) => document.getElementById(id);

/** element("p.hint", {title: "…", onclick}, child, …): attributes by name, handlers as properties, strings as text. */
export function element(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length > 0) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node[name] = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

const PRESS_MS_MAX = 2000; // what is held longer, or never let go in this window, is no click
const AFTER_UP_MS = 50; // a finger's click comes a moment after it has left
let pressedUntil = 0;
addEventListener("pointerdown", ({ button, timeStamp }) => (pressedUntil = button === 0 ? timeStamp + PRESS_MS_MAX : 0), true);
for (const type of ["pointerup", "pointercancel"]) addEventListener(type, ({ timeStamp }) => (pressedUntil = Math.min(pressedUntil, timeStamp + AFTER_UP_MS)), true);
/** Somebody is about to click: what he sees must not be drawn anew or move, or the click goes to nothing, or to something else. */
export const isPressed = () => performance.now() < pressedUntil;
/** Resolves when nobody is about to click. */
export async function released() {
  while (isPressed()) await new Promise(requestAnimationFrame);
}
