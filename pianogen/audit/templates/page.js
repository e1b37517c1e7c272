"use strict";
// The page around the pairs: counts, the list with its filter, and what opens under a row. Whatever comes out of files
// is set as text, never as markup.
(() => {
  const STEP = 100; // rows shown at a time
  const audit = JSON.parse(document.getElementById("audit").textContent);
  const names = audit.pair_columns;
  const pairs = audit.pairs.map((values, number) => {
    const pair = { number, ...Object.fromEntries(values.map((value, i) => [names[i], value])) };
    pair.drawn = drawn(pair);
    return pair;
  });

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const words = (relation) => relation.replaceAll("_", " ");
  const count = (number) => number.toLocaleString("en");
  const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
  const percent = (share) => (share === null ? "" : `${(100 * share).toFixed(share > 0.9995 || share === 0 ? 0 : 1)} %`);

  function signed(semitones) {
    return semitones > 0 ? `+${semitones}` : semitones < 0 ? `−${-semitones}` : "0";
  }

  function key(pair) {
    return pair.is_mirrored ? "mirrored" : signed(pair.semitones);
  }

  // How b is drawn, where not as it is.
  function drawn(pair) {
    if (pair.is_mirrored) return "drawn upside down, as A's mirror image";
    if (!pair.semitones) return "";
    const size = Math.abs(pair.semitones);
    return `drawn ${size} semitone${size === 1 ? "" : "s"} ${pair.semitones > 0 ? "lower" : "higher"}, on A's pitches`;
  }

  function sentence(pair) {
    const said = {
      same_bytes: "The two files are the same, byte for byte.",
      same_notes: "The two files hold the same notes at the same times.",
      edited_copy: "B is an edited copy of A, or A of B.",
      excerpt: pair.coverage_b >= pair.coverage_a ? "B lies within A." : "A lies within B.",
      same_work: "The same work: two performances, or a performance and a score.",
      shared_melody: "The two share a melody, and little else.",
    };
    const more = [];
    if (pair.is_mirrored) more.push("B is A upside down: high keys became low ones.");
    else if (pair.semitones) {
      const size = Math.abs(pair.semitones);
      more.push(`B stands ${size} semitone${size === 1 ? "" : "s"} ${pair.semitones > 0 ? "above" : "below"} A.`);
    }
    const ratio = pair.tempo_ratio;
    if (ratio && Math.abs(ratio - 1) >= 0.02) {
      more.push(ratio > 1 ? `B takes ${ratio.toFixed(2)} times as long.` : `B takes ${ratio.toFixed(2)} of A's time.`);
    }
    return [said[pair.relation] ?? words(pair.relation), ...more].join(" ");
  }

  // Counts

  function showMatrix() {
    const kinds = audit.relations;
    const table = document.getElementById("matrix");
    const head = element("tr", {}, element("th", {}, "splits"), ...kinds.map((kind) => element("th", { class: "n" }, words(kind))), element("th", { class: "n" }, "all"));
    table.append(element("thead", {}, head));
    const body = element("tbody");
    const rows = new Map();
    for (const a of audit.splits) for (const b of audit.splits) rows.set(JSON.stringify([a.split, b.split]), {});
    for (const cell of audit.matrix) {
      const row = rows.get(JSON.stringify([cell.split_a, cell.split_b]));
      row[cell.relation] = cell.num_pairs;
      row.isLeak ||= cell.is_leak;
    }
    audit.splits.forEach((a, i) => {
      audit.splits.slice(i).forEach((b) => {
        const cells = rows.get(JSON.stringify([a.split, b.split]));
        const numbers = kinds.map((kind) => cells[kind] ?? 0);
        const isWithin = a.split === b.split;
        const number = (value) => element("td", { class: value ? "n" : "n zero" }, count(value));
        const name = isWithin ? `within ${a.split}` : `${a.split} – ${b.split}`;
        const sum = numbers.reduce((all, value) => all + value, 0);
        const row = element("tr", { class: isWithin ? "within" : cells.isLeak ? "leak" : "" }, element("th", { scope: "row" }, name), ...numbers.map(number), number(sum));
        body.append(row);
      });
    });
    // Pairs within a split stand below those across.
    body.append(...body.querySelectorAll("tr.within"));
    table.append(body);
  }

  // The list

  const columns = [
    { name: "relation", get: (pair) => audit.relations.indexOf(pair.relation) + (pair.is_leak ? 0 : 100) },
    { name: "A", get: (pair) => pair.path_a },
    { name: "B", get: (pair) => pair.path_b },
    { name: "score", get: (pair) => pair.score, isNumber: true },
    { name: "covered", get: (pair) => pair.coverage, isNumber: true },
    { name: "key", get: (pair) => Math.abs(pair.semitones) + (pair.is_mirrored ? 200 : 0), isNumber: true },
    { name: "tempo", get: (pair) => pair.tempo_ratio ?? 0, isNumber: true },
    { name: "residual", get: (pair) => pair.residual_sec ?? Infinity, isNumber: true },
  ];
  const list = document.getElementById("list");
  const body = element("tbody");
  const form = document.getElementById("filter");
  const more = document.getElementById("more");
  let order = null; // { column, sign }; null: the worst first
  let found = pairs;
  let numShown = 0;
  let open = null; // { row, detail, view }

  function showHead() {
    const cells = columns.map((column) => {
      const button = element("button", { type: "button" }, column.name);
      const cell = element("th", { class: column.isNumber ? "n" : "" }, button);
      button.addEventListener("click", () => {
        const first = column.isNumber ? -1 : 1;
        order = order?.column !== column ? { column, sign: first } : order.sign === first ? { column, sign: -first } : null;
        for (const other of cells) other.removeAttribute("aria-sort");
        if (order) cell.setAttribute("aria-sort", order.sign > 0 ? "ascending" : "descending");
        refresh();
      });
      return cell;
    });
    list.append(element("thead", {}, element("tr", {}, ...cells)), body);
  }

  function showFilter() {
    const option = (value, text) => element("option", { value }, text);
    const kinds = audit.relations.filter((kind) => pairs.some((pair) => pair.relation === kind));
    form.relation.append(option("leaks", "all leaks"), option("", "all"), ...kinds.map((kind) => option(kind, words(kind))));
    if (!pairs.some((pair) => pair.is_leak)) form.relation.value = "";
    const splits = new Map(pairs.map((pair) => [JSON.stringify([pair.split_a, pair.split_b]), `${pair.split_a} – ${pair.split_b}`]));
    form.splits.append(option("", "all"), ...[...splits].map(([value, text]) => option(value, text)));
    form.addEventListener("input", refresh);
    form.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", showRows);
  }

  function refresh() {
    const text = form.text.value.trim().toLowerCase();
    const relation = form.relation.value;
    const splits = form.splits.value;
    found = pairs.filter(
      (pair) =>
        (relation === "leaks" ? pair.is_leak : !relation || pair.relation === relation) &&
        (!splits || splits === JSON.stringify([pair.split_a, pair.split_b])) &&
        (!text || [pair.path_a, pair.path_b, pair.title_a, pair.title_b].some((name) => name.toLowerCase().includes(text))),
    );
    if (order) {
      const { column, sign } = order;
      const compare = (x, y) => (x < y ? -1 : x > y ? 1 : 0);
      found.sort((x, y) => sign * compare(column.get(x), column.get(y)) || x.number - y.number);
    }
    close();
    body.replaceChildren();
    numShown = 0;
    showRows();
    document.getElementById("shown").textContent = found.length === pairs.length ? plural(found.length, "pair") : `${count(found.length)} of ${plural(pairs.length, "pair")}`;
  }

  function showRows() {
    const next = found.slice(numShown, numShown + STEP);
    body.append(...next.map(rowOf));
    numShown += next.length;
    more.hidden = numShown >= found.length;
    more.textContent = `Show ${count(Math.min(STEP, found.length - numShown))} more of ${count(found.length - numShown)}`;
  }

  function rowOf(pair) {
    const file = (side) => [
      element("span", { class: "split" }, `${pair[`split_${side}`]} `),
      element("span", { class: "path" }, pair[`path_${side}`]),
      ...(pair[`title_${side}`] ? [element("small", {}, pair[`title_${side}`])] : []),
    ];
    const opener = element("button", { type: "button", class: "open-pair", "aria-expanded": "false" }, words(pair.relation));
    const number = (name, text) => element("td", { class: "n", "data-name": name }, text);
    const row = element(
      "tr",
      { class: pair.is_leak ? "pair" : "pair melody", "data-number": pair.number },
      element("td", { class: "relation" }, opener),
      element("td", {}, ...file("a")),
      element("td", {}, ...file("b")),
      number("score", pair.score.toFixed(2)),
      number("covered", percent(pair.coverage)),
      number("key", key(pair)),
      number("tempo", pair.tempo_ratio === null ? "" : `×${pair.tempo_ratio.toFixed(2)}`),
      number("residual", milliseconds(pair.residual_sec)),
    );
    // Names may be marked and copied without the row opening or closing under the hand.
    row.addEventListener("click", () => String(getSelection()) || toggle(pair, row));
    return row;
  }

  function milliseconds(sec) {
    return sec === null ? "" : sec < 1 ? `${Math.round(1000 * sec)} ms` : `${sec.toFixed(1)} s`;
  }

  // What opens under a row

  function toggle(pair, row) {
    const isOpen = open?.row === row;
    close();
    if (isOpen) return;
    const box = element("div", { class: "detail-box" }, element("p", {}, sentence(pair)));
    const evidence = element("dl", { class: "evidence" });
    const say = (name, value) => value !== "" && evidence.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
    say("score: share of shingles on the chain", pair.score.toFixed(3));
    say("of A's time covered", percent(pair.coverage_a));
    say("of B's time covered", percent(pair.coverage_b));
    say("residual: anchors' median distance", milliseconds(pair.residual_sec));
    say("anchors; shingles shared", `${count(pair.num_anchors)}; ${count(pair.num_shared)}`);
    say(pair.is_mirrored ? "mirror image: sum of pitches" : "semitones from A to B", pair.is_mirrored ? String(pair.semitones) : signed(pair.semitones));
    say("seconds of B per second of A", pair.tempo_ratio === null ? "unknown" : pair.tempo_ratio.toFixed(3));
    box.append(evidence);
    const detail = element("tr", { class: "detail" }, element("td", { colspan: String(columns.length) }, box));
    row.after(detail);
    row.classList.add("open");
    row.querySelector(".open-pair").setAttribute("aria-expanded", "true");
    const opened = (open = { row, detail, view: null });
    if (pair.number >= audit.num_rolls) {
      box.append(element("p", { class: "note" }, `Only the first ${count(audit.num_rolls)} pairs, the worst, come with their notes; --rolls N asks for more.`));
      return;
    }
    loadPair(pair.number).then(
      ([data, a, b]) => {
        if (open !== opened) return;
        say("notes in both", `${count(data.matched_a.length)} of A's ${count(a.pitch.length)}, of B's ${count(b.pitch.length)}`);
        if (!data.is_aligned) box.append(element("p", { class: "note" }, "Too few notes to lay them on each other: both begin together here."));
        opened.view = PairView.open(pair, data, a, b);
        box.append(opened.view.element);
        opened.view.layOut();
      },
      (error) => box.append(element("p", { class: "warning" }, error.message)),
    );
  }

  function close() {
    if (!open) return;
    open.view?.pause();
    open.detail.remove();
    open.row.classList.remove("open");
    open.row.querySelector(".open-pair").setAttribute("aria-expanded", "false");
    open = null;
  }

  // Notes lie in scripts beside the page, which a page from the disk may load where it may not fetch.

  const arrived = new Map();
  window.pianogenData = (name, data) => arrived.set(name, data);

  function load(name) {
    return new Promise((resolve, reject) => {
      if (arrived.has(name)) return resolve(arrived.get(name));
      const script = element("script", { src: `rolls/${name}.js` });
      script.addEventListener("load", () => (arrived.has(name) ? resolve(arrived.get(name)) : reject(new Error(`rolls/${name}.js holds something else`))));
      script.addEventListener("error", () => reject(new Error(`rolls/${name}.js is missing: it belongs beside this page`)));
      document.head.append(script);
    });
  }

  async function loadPair(number) {
    const data = await load(`pair-${number}`);
    const [a, b] = await Promise.all([load(`notes-${data.a}`), load(`notes-${data.b}`)]);
    return [data, a, b];
  }

  // What was not compared

  function showOmissions() {
    const place = document.getElementById("omissions");
    const group = (title, total, items) => {
      if (!total) return;
      const rest = total > items.length ? [element("p", { class: "note" }, `And ${count(total - items.length)} more, in audit.json.`)] : [];
      place.append(element("details", {}, element("summary", {}, `${count(total)} ${title}`), element("ul", { class: "omitted" }, ...items.map((item) => element("li", {}, item))), ...rest));
    };
    group("files that are not music that can be read", audit.num_rejections, audit.rejections.map((row) => `${row.split}: ${row.path}: ${row.reason}${row.detail ? ` (${row.detail})` : ""}`));
    group("paths of the table of splits that mean no file here, or one that several mean", audit.num_missing, audit.missing);
    group("files that have no split", audit.num_without_split, audit.without_split);
    if (!place.childElementCount) place.append(element("p", {}, "Nothing: every file has a split, and every one could be read."));
  }

  function showListed() {
    const leaks = plural(audit.num_leaks, "leak");
    const apart = audit.num_pairs - audit.num_leaks;
    const said = [apart ? `${leaks}, and ${plural(apart, "pair")} with a shared melody, which do not count.` : `${leaks}.`];
    if (audit.num_pairs > pairs.length) said.push(`The first ${count(pairs.length)} are listed here, the worst first; all are in pairs.csv.`);
    if (audit.num_rolls && audit.num_rolls < audit.num_pairs) said.push(`The first ${count(audit.num_rolls)} can be seen and heard.`);
    document.getElementById("listed").textContent = said.join(" ");
  }

  showMatrix();
  showListed();
  if (pairs.length) {
    showHead();
    showFilter();
    refresh();
  } else {
    form.hidden = true;
    document.querySelector(".legend").hidden = true;
    list.replaceWith(element("p", { class: "empty" }, "No two files of different splits hold the same music, as far as the search can tell."));
  }
  showOmissions();
  window.pianogen = { level: Sequencer.level };
})();
