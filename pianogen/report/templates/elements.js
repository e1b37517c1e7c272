"use strict";
// Makes elements of a page. Exposes `make`.
const make = (() => {
  const DRAWN = "http://www.w3.org/2000/svg";

  function made(parent, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) parent.setAttribute(key, value);
    parent.append(...children);
    return parent;
  }

  const make = (name, attributes = {}, ...children) => made(document.createElement(name), attributes, children);

  // A picture on a button, from paths in a square of 24.
  make.icon = (...paths) => {
    const drawn = paths.map((path) => made(document.createElementNS(DRAWN, "path"), path, []));
    const attributes = { viewBox: "0 0 24 24", width: "20", height: "20", "aria-hidden": "true" };
    return made(document.createElementNS(DRAWN, "svg"), attributes, drawn);
  };

  return make;
})();
