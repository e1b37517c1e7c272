"use strict";
// Figures of the data as what Plotly draws, and as a table. Knows nothing of the page. A figure's numbers are those that
// `numbers` in data_figures.py makes of it.
//
// Plotly reads a little HTML in the texts that it shows, links among them: every name that comes out of a file goes
// through `plain` on its way.
const Charts = (() => {
  const SPLITS = ["all", "train", "validation", "test"];
  const COUNTED = { all: "every time", no_copies: "copies once", once: "once" };
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
  const SWATCHES = { solid: "", dash: "7 4", dot: "2 3", dashdot: "7 3 2 3", longdash: "12 4" };
  const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down"];
  const NUM_COLORS = 8;
  const NONE = "–";
  const HELD = { keys: "parts", kept: "amounts" }; // where a kind finds its values, if not under its own name

  // Black or white, what can be read on a color #rrggbb.
  function inkOn(color) {
    const [red, green, blue] = [1, 3, 5].map((i) => (parseInt(color.slice(i, i + 2), 16) / 255) ** 2.2);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.2 ? "#14171b" : "#fff";
  }

  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  // The beginning and the end of a long name: names of a family differ in either.
  function short(text, most = 14) {
    const signs = Array.from(text);
    const end = Math.floor((most - 1) / 2);
    return signs.length > most ? `${signs.slice(0, most - 1 - end).join("")}…${signs.slice(-end).join("")}` : text;
  }

  // Numbers as text, as `fixed` and `rounded` in rendering.py have them.
  function fixed(value, digits) {
    if (value === null || value === undefined) return NONE;
    const [whole, rest] = Math.abs(value).toFixed(digits).split(".");
    const isZero = Number(Math.abs(value).toFixed(digits)) === 0;
    return `${value < 0 && !isZero ? "-" : ""}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}${rest ? `.${rest}` : ""}`;
  }

  function rounded(value) {
    if (value === null || value === undefined) return NONE;
    const size = Math.abs(value);
    return fixed(value, size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
  }

  // What is drawn over each other or in rows: [{ label, values by split, split, style }].
  function series(figure, data, chosen) {
    let held = data[HELD[figure.kind] ?? figure.kind];
    if (!Array.isArray(held)) held = held[chosen.measure ?? figure.measure];
    if (!Array.isArray(held)) held = held.values;
    if (figure.by === "split") {
      const values = held[Number(chosen.dataset ?? 0)];
      const found = SPLITS.filter((split) => split in values);
      const parts = found.filter((split) => split !== "all" || figure.with_all);
      // All of a single split is that split.
      return (parts.length ? parts : found).map((split) => ({ label: split, values, split, style: SPLITS.indexOf(split) - 1 }));
    }
    return data.labels.map((label, i) => ({ label, values: held[i], split: chosen.split, style: i, dataset: i }));
  }

  // Thousandths of a percent by bin, as far as the last that is not empty; null where there is no such music.
  function unpack(splits, split, counted) {
    let bins = splits[split]?.[counted] ?? null;
    if (typeof bins === "string") {
      const [otherSplit, otherCounted] = bins.split(" ");
      bins = splits[otherSplit][otherCounted];
    }
    return bins && [...new Array(bins[0]).fill(0), ...bins.slice(1)];
  }

  // Tables

  const tables = {
    shares(figure, data, chosen) {
      const { labels } = data.axes[chosen.measure ?? figure.measure];
      const lines = series(figure, data, chosen).map((one) => ({ label: one.label, bins: unpack(one.values, one.split, chosen.counted) ?? [] }));
      const rows = labels.map((label, i) => [label, ...lines.map(({ bins }) => (bins[i] ? fixed(bins[i] / 1000, 3) : ""))]);
      return { columns: ["", ...lines.map(({ label }) => `${label}, %`)], rows: rows.filter((row) => row.slice(1).some((cell) => cell)) };
    },

    amounts(figure, data, chosen) {
      const cell = (one) => one.values[one.split]?.[chosen.counted]?.[figure.place];
      return { columns: ["", figure.unit], rows: series(figure, data, chosen).map((one) => [one.label, fixed(cell(one), figure.digits)]) };
    },

    kept(figure, data, chosen) {
      const units = ["performances", "hours", "notes"];
      const columns = Object.values(COUNTED).flatMap((words) => units.map((unit) => `${unit}, ${words}`));
      const cells = (one) => Object.keys(COUNTED).flatMap((counted) => [0, 2, 0].map((digits, i) => fixed(one.values[one.split]?.[counted]?.[i], digits)));
      return { columns: ["", ...columns], rows: series(figure, data, chosen).map((one) => [one.label, ...cells(one)]) };
    },

    quantiles(figure, data, chosen) {
      const cells = (one) => {
        const [count, ...rest] = one.values[one.split]?.[chosen.counted] ?? new Array(6).fill(null);
        return [fixed(count, 0), ...rest.map(rounded)];
      };
      return { columns: ["", "performances", "5 %", "25 %", "median", "75 %", "95 %"], rows: series(figure, data, chosen).map((one) => [one.label, ...cells(one)]) };
    },

    parts(figure, data, chosen) {
      const { categories } = data.parts[figure.measure];
      const cells = (one) => (one.values[one.split] ?? new Array(categories.length).fill(null)).map((value) => fixed(value, 2));
      return { columns: ["", ...categories.map((name) => `${name}, %`)], rows: series(figure, data, chosen).map((one) => [one.label, ...cells(one)]) };
    },

    matrix(figure, data, chosen) {
      const lines = figure.values[figure.key.map((name) => chosen[name]).join("|")] ?? [];
      return { columns: ["", ...figure.columns], rows: lines.map((line, i) => [figure.rows[i], ...line.map((value) => fixed(value, 4))]) };
    },
  };
  tables.keys = tables.parts;

  // Drawings: { traces, layout, height, legend, remark }

  function line(one, theme) {
    const i = one.style < 0 ? 6 : one.style;
    return { color: theme.series[i % NUM_COLORS], dash: one.style < 0 ? "solid" : DASHES[i % DASHES.length], symbol: SYMBOLS[i % SYMBOLS.length] };
  }

  function legendOf(found, theme, isMarked) {
    return found.map((one) => {
      const { color, dash, symbol } = line(one, theme);
      return { label: one.label, dataset: one.dataset, color, dash: SWATCHES[dash], symbol: isMarked ? symbol : null };
    });
  }

  function missing(found, isThere) {
    const names = found.filter((one) => !isThere(one)).map((one) => one.label);
    return names.length ? `Nothing to show of: ${names.join(", ")}.` : "";
  }

  const drawings = {
    shares(figure, data, chosen, view) {
      const axis = data.axes[chosen.measure ?? figure.measure];
      const isStacked = view.isStacked && figure.by !== "split";
      const all = series(figure, data, chosen).map((one) => ({ ...one, bins: unpack(one.values, one.split, chosen.counted) }));
      const found = all.filter((one) => one.bins && (isStacked || !view.hidden.has(one.dataset)));
      for (const one of found) {
        one.percents = axis.x.map((_, i) => (one.bins[i] ?? 0) / 1000);
        one.peak = Math.max(...one.percents);
        one.peakAt = axis.labels[one.percents.indexOf(one.peak)];
      }
      const place = axis.log ? Math.log10 : (x) => x;
      const { first, last, isCut } = extent(found, axis);
      const [low, high] = [place(axis.x[first]), place(axis.x[last])];
      const margin = 0.75 * (place(axis.x[1]) - place(axis.x[0]));
      const ticks = thinned(axis.ticks?.filter(([x]) => place(x) >= low - margin && place(x) <= high + margin), view);
      const made = (isStacked ? below : over)(found, axis, view);
      const cut = isCut ? `Up to ${axis.outside} % of each lies beyond the axis.` : "";
      // A box that tells of all lines begins with the place, which only a line can say.
      const places = { type: "scatter", mode: "lines", x: axis.x, y: axis.x.map(() => 0), customdata: axis.labels, line: { color: "rgba(0,0,0,0)" }, hovertemplate: "%{customdata}<extra></extra>" };
      return {
        traces: view.isUnified ? [places, ...made.traces] : made.traces,
        height: made.height,
        legend: isStacked ? [] : legendOf(all, view.theme, axis.marked),
        remark: [made.remark, cut, missing(all, (one) => one.bins)].filter(Boolean).join(" "),
        layout: {
          ...made.layout,
          hovermode: view.isUnified ? "x unified" : "closest",
          xaxis: {
            title: { text: axis.title },
            type: axis.log ? "log" : "linear",
            range: [low - margin, high + margin],
            unifiedhovertitle: { text: axis.name },
            ...(ticks ? { tickmode: "array", tickvals: ticks.map(([x]) => x), ticktext: ticks.map(([, text]) => text) } : { nticks: view.width < 420 ? 6 : 10 }),
          },
        },
      };
    },

    amounts(figure, data, chosen, view) {
      const amount = (one) => one.values[one.split]?.[chosen.counted]?.[figure.place] ?? 0;
      const found = series(figure, data, chosen).sort((a, b) => amount(b) - amount(a) || (a.label < b.label ? -1 : 1));
      const values = found.map(amount);
      const text = values.map((value) => fixed(value, figure.digits));
      const longest = Math.max(...values, 1e-9);
      const rows = rowsOf(found, view);
      return {
        ...rows,
        traces: [
          {
            type: "bar",
            orientation: "h",
            x: values,
            y: rows.places,
            width: 0.66,
            text,
            textposition: "outside",
            textfont: { color: view.theme.text },
            cliponaxis: false,
            constraintext: "none",
            marker: { color: view.theme.series[0] },
            customdata: found.map((one) => plain(one.label)),
            hovertemplate: `%{customdata}: %{text} ${figure.unit}<extra></extra>`,
          },
        ],
        layout: { yaxis: rows.axis, xaxis: { title: { text: figure.unit }, range: [0, longest * roomFor(text, rows, view)], nticks: 5, ...(longest < 5 ? { dtick: 1 } : {}), tickformat: longest < 1e4 ? ",~f" : "~s" } },
      };
    },

    kept(figure, data, chosen, view) {
      const place = Number(chosen.amount);
      const digits = [0, 2, 0][place];
      const found = series(figure, data, chosen);
      const rows = rowsOf(found, view, 48);
      const kinds = [
        { counted: "no_copies", color: view.theme.series[0], pattern: "", label: COUNTED.no_copies },
        { counted: "once", color: view.theme.series[1], pattern: "/", label: COUNTED.once },
      ];
      const at = (one, counted) => one.values[one.split]?.[counted]?.[place] ?? 0;
      const text = (counted) => found.map((one) => fixed(at(one, counted), digits));
      const traces = kinds.map(({ counted, color, pattern, label }) => ({
        type: "bar",
        orientation: "h",
        x: found.map((one) => (at(one, "all") ? (100 * at(one, counted)) / at(one, "all") : 0)),
        y: rows.places,
        text: text(counted),
        textposition: "outside",
        textfont: { color: view.theme.text },
        constraintext: "none",
        cliponaxis: false,
        marker: { color, pattern: { shape: pattern, size: 6, solidity: 0.4, fgcolor: view.theme.card, fillmode: "overlay" } },
        customdata: found.map((one) => [plain(one.label), fixed(at(one, "all"), digits)]),
        hovertemplate: `%{customdata[0]}, ${label}: %{text} of %{customdata[1]}, %{x:.1f} %<extra></extra>`,
      }));
      return {
        ...rows,
        traces,
        legend: kinds.map(({ label, color, pattern }) => ({ label, color, block: true, pattern })),
        layout: { barmode: "group", bargap: 0.25, bargroupgap: 0.08, yaxis: rows.axis, xaxis: { title: { text: "% of all that stays" }, range: [0, 100 * roomFor(kinds.flatMap(({ counted }) => text(counted)), rows, view)], tickvals: [0, 25, 50, 75, 100] } },
      };
    },

    quantiles(figure, data, chosen, view) {
      const all = series(figure, data, chosen).map((one) => ({ ...one, cells: one.values[one.split]?.[chosen.counted] }));
      const found = all.filter((one) => one.cells && one.cells.every((cell) => cell !== null));
      const rows = rowsOf(found, view);
      const isLog = figure.log && found.length > 0 && found.every(({ cells }) => cells[1] > 0);
      const spans = (low, high) => [found.flatMap(({ cells }) => [cells[low], cells[high], null]), rows.places.flatMap((y) => [y, y, null])];
      const [thinX, thinY] = spans(1, 5);
      const [thickX, thickY] = spans(2, 4);
      const color = view.theme.series[0];
      const told = found.map(({ label, cells }) => [plain(label), ...cells.slice(1).map(rounded)]);
      return {
        ...rows,
        legend: [
          { label: "nine performances in ten", color, line: 2 },
          { label: "half of them", color, line: 9 },
          { label: "median", color: view.theme.text, bar: true },
        ],
        remark: missing(all, (one) => found.some(({ style }) => style === one.style)),
        traces: [
          { type: "scatter", mode: "lines", x: thinX, y: thinY, line: { color, width: 2 }, hoverinfo: "skip" },
          { type: "scatter", mode: "lines", x: thickX, y: thickY, line: { color, width: 11 }, hoverinfo: "skip" },
          {
            type: "scatter",
            mode: "markers",
            x: found.map(({ cells }) => cells[3]),
            y: rows.places,
            marker: { symbol: "line-ns", size: 18, color: view.theme.text, line: { width: 3, color: view.theme.text } },
            customdata: told,
            hovertemplate: "%{customdata[0]}: median %{customdata[3]}<br>half from %{customdata[2]} to %{customdata[4]}<br>nine in ten from %{customdata[1]} to %{customdata[5]}<extra></extra>",
          },
        ],
        layout: {
          hovermode: "y",
          hoverdistance: 30,
          yaxis: rows.axis,
          xaxis: isLog
            ? { title: { text: figure.unit }, type: "log", ...logTicks(found.flatMap(({ cells }) => cells.slice(1))) }
            : { title: { text: figure.unit }, nticks: 6, ...(figure.most ? { range: [-0.01, figure.most * 1.02] } : { rangemode: "tozero" }) },
        },
      };
    },

    parts(figure, data, chosen, view) {
      const { categories } = data.parts[figure.measure];
      const all = series(figure, data, chosen);
      const found = all.filter((one) => one.values[one.split]);
      const rows = rowsOf(found, view);
      const colorOf = (name, i) => (name === "not stated" ? view.theme.unstated : name === "others" ? view.theme.soft : view.theme.series[i % NUM_COLORS]);
      const traces = categories.map((name, i) => ({
        type: "bar",
        orientation: "h",
        name: plain(name),
        x: found.map((one) => one.values[one.split][i]),
        y: rows.places,
        width: 0.66,
        text: found.map((one) => (one.values[one.split][i] >= (view.width < 420 ? 24 : 12) ? `${plain(short(name, 10))} ${fixed(one.values[one.split][i], 0)} %` : "")),
        textposition: "inside",
        insidetextanchor: "middle",
        textangle: 0,
        textfont: { color: inkOn(colorOf(name, i)) },
        marker: { color: colorOf(name, i), line: { color: view.theme.card, width: 1.5 } },
        customdata: found.map((one) => plain(one.label)),
        hovertemplate: `%{customdata}, ${plain(name).replaceAll("%{", "% {")}: %{x:.1f} %<extra></extra>`,
      }));
      return {
        ...rows,
        traces,
        legend: categories.map((name, i) => ({ label: name, color: colorOf(name, i), block: true })),
        remark: missing(all, (one) => one.values[one.split]),
        layout: { barmode: "stack", margin: { l: 44, r: 20, t: 8, b: 40 }, yaxis: rows.axis, xaxis: { title: { text: "% of performances" }, range: [0, 100], tickvals: [0, 25, 50, 75, 100] } },
      };
    },

    keys(figure, data, chosen, view) {
      const { categories } = data.parts[figure.measure];
      const all = series(figure, data, chosen);
      const found = all.filter((one) => one.values[one.split]);
      const rows = rowsOf(found, view, 26);
      const num = categories.length / 2;
      const cellWidth = (view.width - rows.left - 16) / num;
      const top = Math.max(...found.flatMap((one) => one.values[one.split]), 1);
      const block = (start, i) => {
        const z = found.map((one) => one.values[one.split].slice(start, start + num));
        return {
          type: "heatmap",
          x: z[0]?.map((_, x) => x) ?? [],
          y: rows.places,
          z,
          zmin: 0,
          zmax: top,
          text: z.map((values) => values.map((value) => (value >= 0.5 ? fixed(value, 0) : ""))),
          texttemplate: cellWidth >= 17 ? "%{text}" : "",
          textfont: { size: cellWidth < 26 ? 10 : 12 },
          customdata: found.map((one) => categories.slice(start, start + num).map((name) => `${plain(one.label)}, ${name}`)),
          hovertemplate: "%{customdata}: %{z:.1f} %<extra></extra>",
          colorscale: view.theme.ramp,
          showscale: false,
          xgap: 2,
          ygap: 2,
          xaxis: i ? "x2" : "x",
          yaxis: i ? "y2" : "y",
        };
      };
      const names = (start) => ({
        tickmode: "array",
        tickvals: categories.slice(0, num).map((_, i) => i),
        // Minor keys in small letters, as musicians write them.
        ticktext: categories.slice(start, start + num).map((name) => name.split(" ")[0]).map((name) => (start ? name.toLowerCase() : name)),
        tickangle: 0,
        side: "top",
        showgrid: false,
        ticks: "",
        range: [-0.5, num - 0.5],
      });
      const each = found.length * 26 + 28;
      const height = 2 * each + 20;
      const inner = height - 34;
      return {
        traces: found.length ? [block(0, 0), block(num, 1)] : [],
        height,
        legend: [],
        remark: missing(all, (one) => one.values[one.split]),
        layout: {
          margin: { l: rows.left, r: 8, t: 26, b: 8 },
          xaxis: { ...names(0), anchor: "y" },
          xaxis2: { ...names(num), anchor: "y2" },
          yaxis: { ...rows.axis, showgrid: false, domain: [1 - (found.length * 26) / inner, 1] },
          yaxis2: { ...rows.axis, showgrid: false, domain: [0, (found.length * 26) / inner] },
        },
      };
    },

    matrix(figure, data, chosen, view) {
      let lines = figure.values[figure.key.map((name) => chosen[name]).join("|")] ?? [];
      let { rows, columns } = figure;
      // Down the page there is room for many.
      if (columns.length > rows.length) {
        lines = columns.map((_, x) => lines.map((line) => line[x]));
        [rows, columns] = [columns, rows];
      }
      const isMoved = chosen.metric === "moved";
      const unit = isMoved ? figure.units[chosen.measure] : figure.unit;
      const values = lines.flat().filter((value) => value !== null);
      const top = Math.max(...values, isMoved ? 1e-9 : 0.1);
      const most = Math.max(14, ...rows.map((name) => Math.min(name.length, 18)));
      const left = 8 + 6.6 * Math.min(most, Math.max(...rows.map((name) => short(name, most).length), 1));
      const cellWidth = (view.width - left - 8) / columns.length;
      const isTurned = columns.some((name) => short(name, 18).length * 6.6 > cellWidth - 4);
      const digits = isMoved ? null : top < 0.1 ? 3 : 2;
      const write = (value) => (value === null ? "" : value < 0.5 * 10 ** -(digits ?? 3) ? "0" : digits === null ? rounded(value) : fixed(value, digits));
      const text = lines.map((line) => line.map(write));
      const widest = Math.max(...text.flat().map((cell) => cell.length), 1);
      const size = cellWidth >= widest * 7 + 4 ? 12 : 10;
      const isNamed = cellWidth >= 11;
      const headRoom = !isNamed ? 8 : isTurned ? 12 + 6.4 * Math.max(...columns.map((name) => short(name, 18).length)) : 26;
      const rowHeight = 30;
      return {
        traces: values.length
          ? [
              {
                type: "heatmap",
                x: columns.map((_, i) => i),
                y: rows.map((_, i) => i),
                z: lines,
                zmin: 0,
                zmax: top,
                text,
                texttemplate: cellWidth >= widest * 5.6 + 2 ? "%{text}" : "",
                textfont: { size },
                customdata: lines.map((line, y) => line.map((value, x) => `${plain(rows[y])}, ${plain(columns[x])}: ${fixed(value, 4)} ${unit}`)),
                hovertemplate: "%{customdata}<extra></extra>",
                hoverongaps: false,
                colorscale: view.theme.ramp,
                showscale: false,
                xgap: 2,
                ygap: 2,
              },
            ]
          : [],
        height: headRoom + rowHeight * rows.length + 12,
        legend: [],
        remark: values.length ? `In ${unit}; ${view.theme.isDark ? "brighter" : "darker"} is farther.${isNamed ? "" : " Columns stand in the order of the datasets' names."}` : "No such distance.",
        layout: {
          margin: { l: left, r: 8, t: headRoom, b: 8 },
          xaxis: {
            tickmode: "array",
            tickvals: columns.map((_, i) => i),
            ticktext: columns.map((name) => (isNamed ? plain(short(name, 18)) : "")),
            tickangle: isTurned ? -90 : 0,
            side: "top",
            showgrid: false,
            ticks: "",
            range: [-0.5, columns.length - 0.5],
            automargin: false,
          },
          yaxis: {
            tickmode: "array",
            tickvals: rows.map((_, i) => i),
            ticktext: rows.map((name) => plain(short(name, most))),
            showgrid: false,
            ticks: "",
            range: [rows.length - 0.5, -0.5],
            automargin: false,
          },
        },
      };
    },
  };

  // Ticks that have room beside each other.
  function thinned(ticks, view) {
    const most = Math.max(3, Math.floor((view.width - 100) / 30));
    const step = ticks ? Math.ceil(ticks.length / most) : 1;
    return ticks?.filter((_, i) => i % step === 0);
  }

  // Bins from the first to the last that an axis needs for all but a few thousandths of each distribution.
  function extent(found, axis) {
    if (!axis.outside || !found.length) return { first: 0, last: axis.x.length - 1, isCut: false };
    let [first, last] = [axis.x.length - 1, 0];
    for (const { percents } of found) {
      let below = 0;
      const reached = percents.map((percent) => (below += percent));
      first = Math.min(first, reached.findIndex((sum) => sum >= axis.outside / 2));
      last = Math.max(last, reached.findIndex((sum) => sum >= below - axis.outside / 2));
    }
    // A single value stands in the middle of something.
    while (last - first < Math.min(8, axis.x.length - 1)) [first, last] = [Math.max(0, first - 1), Math.min(axis.x.length - 1, last + 1)];
    return { first, last, isCut: found.some(({ percents }) => percents.some((percent, i) => percent > 0 && (i < first || i > last))) };
  }

  const hoverTemplate = (view) => (view.isUnified ? "%{text} %<extra>%{fullData.name}</extra>" : "%{fullData.name}<br>%{customdata}: %{text} %<extra></extra>");

  // Steps have their full width at both ends as well.
  function steps(axis) {
    const beside = (a, b) => (axis.log ? a * Math.sqrt(a / b) : a + (a - b) / 2);
    const { x, labels } = axis;
    const around = (values) => [values[0], ...values, values.at(-1)];
    return { x: [beside(x[0], x[1]), ...x, beside(x.at(-1), x.at(-2))], labels: around(labels), around };
  }

  // Lines over each other, on one scale. Where a line towers over the others they would be flat: the drawing ends at
  // three times the median peak, and what rises beyond it is marked at its top and told below.
  function over(found, axis, view) {
    const peaks = found.map(({ peak }) => peak).sort((a, b) => a - b);
    const median = peaks.length ? (peaks[(peaks.length - 1) >> 1] + peaks[peaks.length >> 1]) / 2 : 0;
    const highest = peaks.at(-1) ?? 1;
    const top = (highest > 4.8 * median && median > 0 ? 3 * median : highest) * 1.06;
    const { x, labels, around } = axis.marked ? { x: axis.x, labels: axis.labels, around: (values) => values } : steps(axis);
    const traces = found.map((one) => {
      const { color, dash, symbol } = line(one, view.theme);
      return {
        type: "scatter",
        mode: axis.marked ? "lines+markers" : "lines",
        name: plain(short(one.label, 20)),
        x,
        y: around(one.percents),
        customdata: labels,
        line: { color, dash, width: 2, shape: axis.marked ? "linear" : "hvh" },
        marker: { color, symbol, size: 7 },
        text: around(one.percents.map((percent) => fixed(percent, 2))),
        hovertemplate: hoverTemplate(view),
      };
    });
    const beyond = found.filter(({ peak }) => peak > top);
    for (const one of beyond) {
      const places = axis.x.filter((_, i) => one.percents[i] > top);
      traces.push({ type: "scatter", mode: "markers", x: places, y: places.map(() => top * 0.975), marker: { symbol: "triangle-up", size: 10, color: line(one, view.theme).color }, hoverinfo: "skip" });
    }
    const told = beyond.map(({ label, peak, peakAt }) => `${label} (${fixed(peak, 1)} % at ${peakAt})`);
    return {
      traces,
      height: 300,
      remark: told.length ? `Beyond the drawing, ▲: ${told.join(", ")}.` : "",
      layout: { yaxis: { title: { text: axis.y }, range: [0, top], nticks: 6 } },
    };
  }

  // One row for each, as high as its own peak, which is told beside it.
  function below(found, axis, view) {
    const isNarrow = view.width < 420;
    const { x, labels, around } = steps(axis);
    const { color } = line({ style: 0 }, view.theme);
    const closed = (values, end) => [end ?? values[0], ...values, end ?? values.at(-1)];
    const traces = found.map((one, i) => {
      const base = found.length - 1 - i;
      return {
        type: "scatter",
        mode: "lines",
        name: plain(short(one.label, 20)),
        x: closed(x),
        y: closed(around(one.percents.map((percent) => base + (0.86 * percent) / (one.peak || 1))), base),
        customdata: closed(labels),
        text: closed(around(one.percents.map((percent) => fixed(percent, 2)))),
        line: { color, width: 1.3, shape: "hvh" },
        fill: "toself",
        hoveron: "points",
        hovertemplate: hoverTemplate(view),
      };
    });
    const told = ({ label, peak, peakAt }) => {
      const where = isNarrow ? `to ${fixed(peak, 1)} %` : `${fixed(peak, 1)} % at ${peakAt}`;
      return `${plain(short(label, isNarrow ? 13 : 20))}<br><span style="font-size:10.5px;fill:${view.theme.soft}">${where}</span>`;
    };
    return {
      traces,
      height: 62 + 40 * found.length,
      remark: `${axis.y.charAt(0).toUpperCase()}${axis.y.slice(1)}; each row to its own peak, which stands under its name.`,
      layout: {
        yaxis: {
          tickmode: "array",
          tickvals: found.map((_, i) => found.length - 1 - i + 0.42),
          ticktext: found.map(told),
          range: [-0.06, found.length - 0.04],
          showgrid: false,
          ticks: "",
        },
      },
    };
  }

  function logTicks(values) {
    const low = Math.log10(Math.min(...values));
    const high = Math.log10(Math.max(...values));
    const steps = high - low > 2.5 ? [1] : high - low > 1.2 ? [1, 3] : [1, 2, 5];
    const ticks = [];
    for (let power = Math.floor(low) - 1; power <= Math.ceil(high); power++) for (const step of steps) ticks.push(step * 10 ** power);
    const text = (value) => (value >= 1 ? fixed(value, 0) : String(Number(value.toPrecision(2))));
    return { range: [low - 0.08, high + 0.08], tickmode: "array", tickvals: ticks, ticktext: ticks.map(text) };
  }

  // By how much an axis goes on beyond the longest bar, so that the number at its end has room.
  function roomFor(texts, rows, view) {
    const inner = Math.max(60, view.width - rows.left - 20);
    const widest = 8 + 7.2 * Math.max(...texts.map((text) => text.length), 1);
    return inner / Math.max(inner - widest, 20);
  }

  // One row for each of some series, the first on top.
  function rowsOf(found, view, rowHeight = 30) {
    const most = view.width < 420 ? 14 : 22;
    const names = found.map((one) => short(one.label, most));
    const left = 10 + 6.8 * Math.max(...names.map((name) => Array.from(name).length), 1);
    return {
      places: found.map((_, i) => i),
      left,
      height: 58 + rowHeight * Math.max(found.length, 1),
      legend: [],
      remark: "",
      axis: { tickmode: "array", tickvals: found.map((_, i) => i), ticktext: names.map(plain), range: [found.length - 0.5, -0.5], showgrid: false, ticks: "" },
    };
  }

  return {
    plain,
    fixed,
    rounded,
    table: (figure, data, chosen) => tables[figure.kind](figure, data, chosen),
    drawing: (figure, data, chosen, view) => drawings[figure.kind](figure, data, chosen, view),
  };
})();
