"use strict";
// The page around the plots: what is chosen, the plots that follow it, their legends and tables. Plots are drawn one
// after the other, those in sight first, so that the page answers meanwhile.
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const choices = document.getElementById("choices");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const hidden = new Set(); // numbers of the datasets that are not drawn
  const UNIFIED = 8; // lines that one box can tell of

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const state = { split: "all", counted: "all", lines: "over" };
  let theme = readTheme();

  function readTheme() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
      isDark: dark.matches,
      text: color("text"),
      soft: color("soft"),
      line: color("line"),
      grid: color("grid"),
      card: color("card"),
      unstated: color("unstated"),
      series: Array.from({ length: 8 }, (_, i) => color(`series${i}`)),
      ramp: [
        [0, color("ramp0")],
        [1, color("ramp1")],
      ],
    };
  }

  class Plot {
    constructor(figure) {
      this.figure = figure;
      this.element = document.getElementById(figure.id);
      this.canvas = this.element.querySelector(".drawing");
      this.legend = this.element.querySelector(".legend");
      this.remark = this.element.querySelector(".remark");
      this.numbers = this.element.querySelector("details.numbers");
      this.form = this.element.querySelector("form.options");
      this.isCurrent = false;
      this.isTableCurrent = true; // the page comes with it
      this.form?.addEventListener("input", () => this.change());
      this.form?.addEventListener("submit", (event) => event.preventDefault());
      this.numbers.addEventListener("toggle", () => this.showNumbers());
      if (this.form && this.options().some(([name, value]) => this.form[name].options[0].value !== value)) this.isTableCurrent = false;
    }

    options() {
      return this.figure.options.map((name) => [name, this.form[name].value]);
    }

    chosen() {
      const followed = Object.fromEntries(this.figure.follows.map((name) => [name, state[name]]));
      return { split: "all", counted: "all", ...followed, ...Object.fromEntries(this.options()) };
    }

    // What was chosen is no longer what is drawn.
    change() {
      this.isCurrent = this.isTableCurrent = false;
      this.showNumbers();
      schedule();
    }

    distance() {
      const { top, bottom } = this.element.getBoundingClientRect();
      return bottom < 0 ? -bottom : Math.max(0, top - innerHeight);
    }

    async draw() {
      this.isCurrent = true;
      const width = this.canvas.clientWidth;
      if (!width) return;
      this.width = width;
      const chosen = this.chosen();
      const isStacked = state.lines === "below";
      const numLines = data.labels.length - (isStacked ? 0 : hidden.size);
      const view = { width, theme, hidden, isStacked, isUnified: width >= 480 && numLines <= UNIFIED };
      const made = Charts.drawing(this.figure, data, chosen, view);
      this.showLegend(made.legend);
      this.remark.textContent = made.remark;
      this.remark.hidden = !made.remark;
      this.canvas.style.height = `${made.height}px`;
      await Plotly.react(this.canvas, made.traces, completed(made), { displayModeBar: false, responsive: false, doubleClick: false, showTips: false });
      // Says to a reader of the page what stands there.
      this.element.dataset.drawn = `${chosen.split} ${chosen.counted} ${theme.isDark ? "dark" : "light"} ${state.lines}`;
    }

    // The others are still drawn.
    fail(error) {
      console.error(error);
      this.remark.textContent = "This plot can't be drawn; its numbers stand below. Is plotly.min.js beside the page?";
      this.remark.hidden = false;
    }

    showLegend(entries) {
      const items = entries.map((entry) => {
        const isToggle = entry.dataset !== undefined;
        const item = element(isToggle ? "button" : "span", isToggle ? { type: "button", "aria-pressed": String(!hidden.has(entry.dataset)) } : {}, swatch(entry), element("span", {}, entry.label));
        if (isToggle) item.addEventListener("click", () => toggle(entry.dataset));
        return item;
      });
      // The button that was pressed keeps the focus.
      const focused = Array.from(this.legend.children).indexOf(document.activeElement);
      this.legend.replaceChildren(...items);
      if (focused >= 0) this.legend.children[focused]?.focus({ preventScroll: true });
    }

    showNumbers() {
      if (!this.numbers.open || this.isTableCurrent) return;
      this.isTableCurrent = true;
      const chosen = this.chosen();
      const { columns, rows } = Charts.table(this.figure, data, chosen);
      const head = element("tr", {}, ...columns.map((name, i) => element("th", i ? { class: "n" } : {}, name)));
      const lines = rows.map(([first, ...rest]) => element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((cell) => element("td", { class: "n" }, cell))));
      this.numbers.querySelector("table").replaceChildren(element("thead", {}, head), element("tbody", {}, ...lines));
      const words = {
        split: chosen.split === "all" ? "all splits" : `the split ${chosen.split}`,
        counted: `the same music ${choices?.counted.selectedOptions[0].textContent}`,
      };
      const told = this.figure.follows.includes("split") ? [words.split] : [];
      if (this.figure.follows.includes("counted")) told.push(words.counted);
      const sentence = told.join(", ");
      this.numbers.querySelector(".state").textContent = sentence.charAt(0).toUpperCase() + sentence.slice(1);
    }
  }

  function swatch({ color, dash, symbol, block, pattern, line, bar }) {
    const svg = (name, attributes) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      return made;
    };
    const picture = svg("svg", { width: block ? 14 : 28, height: 14, "aria-hidden": "true" });
    if (block) {
      picture.append(svg("rect", { width: 14, height: 14, rx: 2, fill: color, stroke: theme.line }));
      if (pattern) picture.append(svg("path", { d: "M1 9 9 1M5 13 13 5", stroke: theme.card, "stroke-width": 2 }));
    } else if (line || bar) {
      picture.append(svg("path", { d: bar ? "M14 0V14" : "M0 7H28", stroke: color, "stroke-width": line ?? 3 }));
    } else {
      picture.append(svg("path", { d: "M0 7H28", stroke: color, "stroke-width": 2.5, "stroke-dasharray": dash }));
      if (symbol) picture.append(mark(svg, symbol, color));
    }
    return picture;
  }

  function mark(svg, symbol, color) {
    const shapes = {
      circle: "M14 3a4 4 0 1 0 .01 0Z",
      square: "M10.5 3.5h7v7h-7Z",
      diamond: "M14 2 19 7 14 12 9 7Z",
      "triangle-up": "M14 2 19 11H9Z",
      "triangle-down": "M14 12 9 3H19Z",
      cross: "M12.5 2.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z",
      x: "M10 4.5 11.5 3 14 5.5 16.5 3 18 4.5 15.5 7 18 9.5 16.5 11 14 8.5 11.5 11 10 9.5 12.5 7Z",
      star: "M14 1.5 15.5 5.3 19.5 5.5 16.4 8 17.5 12 14 9.7 10.5 12 11.6 8 8.5 5.5 12.5 5.3Z",
    };
    return svg("path", { d: shapes[symbol], fill: color });
  }

  // What all plots have in common: nothing to drag, so that a finger scrolls the page; colours of the page.
  function completed({ layout, height }) {
    const axis = {
      fixedrange: true,
      zeroline: false,
      automargin: true,
      color: theme.soft,
      gridcolor: theme.grid,
      linecolor: theme.line,
      tickfont: { color: theme.text, size: 11.5 },
    };
    const titled = (own) => ({ ...axis, ...own, ...(own.title ? { title: { standoff: 8, font: { color: theme.soft, size: 12 }, ...own.title } } : {}) });
    const axes = Object.entries(layout).filter(([name]) => /^[xy]axis/.test(name));
    return {
      autosize: true,
      height,
      showlegend: false,
      dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 44, r: 10, t: 8, b: 40 },
      font: { family: 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif', size: 12, color: theme.text },
      hoverlabel: { bgcolor: theme.card, bordercolor: theme.line, font: { color: theme.text, size: 12 }, namelength: 20 },
      ...layout,
      ...Object.fromEntries(axes.map(([name, own]) => [name, titled(own)])),
    };
  }

  const plots = data.figures.filter((figure) => document.getElementById(figure.id)).map((figure) => new Plot(figure));

  function toggle(dataset) {
    if (hidden.has(dataset)) hidden.delete(dataset);
    else hidden.add(dataset);
    for (const plot of plots) if (plot.figure.kind === "shares" && plot.figure.by !== "split") plot.isCurrent = false;
    schedule();
  }

  let isBusy = false;

  async function schedule() {
    if (isBusy) return;
    isBusy = true;
    await new Promise((resolve) => setTimeout(resolve));
    for (;;) {
      const waiting = plots.filter((plot) => !plot.isCurrent);
      if (!waiting.length) break;
      waiting.sort((a, b) => a.distance() - b.distance());
      await waiting[0].draw().catch((error) => waiting[0].fail(error));
      await new Promise((resolve) => setTimeout(resolve));
    }
    isBusy = false;
  }

  function redraw(isFor = () => true) {
    for (const plot of plots) if (isFor(plot)) plot.isCurrent = false;
    schedule();
  }

  function choose() {
    const changed = Array.from(choices.elements).filter((field) => state[field.name] !== field.value);
    for (const field of changed) state[field.name] = field.value;
    for (const plot of plots) {
      if (changed.some((field) => plot.figure.follows.includes(field.name))) plot.change();
      if (plot.figure.kind === "shares" && changed.some((field) => field.name === "lines")) plot.isCurrent = false;
    }
    schedule();
  }

  choices.addEventListener("input", choose);
  choices.addEventListener("submit", (event) => event.preventDefault());
  dark.addEventListener("change", () => {
    theme = readTheme();
    redraw();
  });
  new ResizeObserver(() => redraw((plot) => plot.canvas.clientWidth !== plot.width)).observe(document.body);
  addEventListener("beforeprint", () => plots.forEach((plot) => plot.isCurrent || plot.draw()));

  for (const pre of document.querySelectorAll(".sql pre")) {
    const button = element("button", { type: "button", class: "copy" }, "Copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(pre.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(pre);
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    pre.after(button);
  }

  choose();
  schedule();
})();
