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
