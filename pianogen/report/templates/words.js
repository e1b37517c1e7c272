"use strict";
// In which language the page speaks. English is the source: whatever a script says is looked up by its English text. Texts
// of the page itself stand there in every language and the style shows one of them; attributes have the others beside them
// (`data-es-title`). The page names its languages (`data-languages`). Exposes `Words`; runs before the page is read.
const Words = (() => {
  const KEPT = "pianogen-language";
  const ATTRIBUTES = ["aria-label", "title", "alt", "content"];
  const root = document.documentElement;
  const languages = (root.dataset.languages ?? "en").split(" ");
  const said = new WeakMap(); // of elements: attribute -> [text, values]
  let spanish = null;

  // What the reader chose before, what the page was made for, or what the browser asks for.
  function preferred() {
    const asked = [kept(), root.dataset.language, ...navigator.languages.map((name) => name.slice(0, 2))];
    return asked.find((name) => languages.includes(name)) ?? "en";
  }

  // A page from a disk, or in a frame, may have no storage, and says so by an error.
  function kept() {
    try {
      return localStorage.getItem(KEPT);
    } catch {
      return null;
    }
  }

  function keep(language) {
    try {
      localStorage.setItem(KEPT, language);
    } catch {
      // It holds until the page is closed.
    }
  }

  function text(english, values = {}) {
    spanish ??= JSON.parse(document.getElementById("words")?.textContent ?? "{}");
    const found = root.lang === "es" ? (spanish[english] ?? english) : english;
    return found.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  function put(element, attribute, [english, values]) {
    if (attribute === "textContent") element.textContent = text(english, values);
    else element.setAttribute(attribute, text(english, values));
  }

  // Gives an element a text, or an attribute, now and whenever the language changes.
  function say(element, english, values = {}, attribute = "textContent") {
    if (!said.has(element)) said.set(element, new Map());
    said.get(element).set(attribute, [english, values]);
    element.dataset.said = "";
    put(element, attribute, [english, values]);
    return element;
  }

  function showAttributes() {
    for (const attribute of ATTRIBUTES) {
      for (const element of document.querySelectorAll(`[data-es-${attribute}]`)) {
        const english = `data-en-${attribute}`;
        if (!element.hasAttribute(english)) element.setAttribute(english, element.getAttribute(attribute));
        element.setAttribute(attribute, element.getAttribute(`data-${root.lang}-${attribute}`));
      }
    }
  }

  function show() {
    showAttributes();
    const title = document.querySelector("title[data-es]");
    if (title) {
      title.dataset.en ??= title.textContent;
      document.title = title.dataset[root.lang];
    }
    for (const element of document.querySelectorAll("[data-said]")) {
      for (const [attribute, words] of said.get(element) ?? []) put(element, attribute, words);
    }
    for (const button of document.querySelectorAll("button[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === root.lang));
    }
  }

  function choose(language) {
    root.lang = language;
    keep(language);
    show();
  }

  root.lang = preferred();
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("button[data-language]")) {
      button.addEventListener("click", () => choose(button.dataset.language));
    }
    show();
  });

  return { text, say };
})();
