"use strict";
// One pair: two rolls on one axis of time, and the two of them to be heard from the same place. Exposes `PairView`.
const PairView = (() => {
  const PASSAGE_SEC = 4; // of the axis, while both take turns
  const PIXELS_PER_SEC = 56;
  const ZOOMS = [6, 14, 28, 56, 112, 224];
  const TAIL_SEC = 0.5;

  let playing = null; // the one view that sounds

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  class View {
    // pair: the row of the list; data: axis and matches; a, b: columns of notes.
    constructor(pair, data, a, b) {
      const seconds = (values) => {
        let sum = 0;
        return values.map((value) => (sum += value / 1000));
      };
      const axis = seconds(data.axis);
      this.pair = pair;
      this.lanes = {
        a: new Lane("a", a, axis, seconds(data.a_sec), 1, new Set(data.matched_a)),
        b: new Lane("b", b, axis, seconds(data.b_sec), data.tempo_ratio, new Set(data.matched_b)),
      };
      const { a: first, b: second } = this.lanes;
      this.begin = Math.min(first.begin, second.begin);
      this.end = Math.max(first.end, second.end, this.begin + 1);
      this.rows = LaneDrawing.rowsOf(pair, this.lanes);
      this.zoom = ZOOMS.indexOf(PIXELS_PER_SEC);
      this.mode = null; // a, b or both while it sounds
      const matched = first.notes.find((note) => note.isMatched);
      this.position = matched ? matched.start : this.begin;
      this.build();
      new ResizeObserver(() => this.layOut()).observe(this.scroller);
    }

    get scale() {
      return ZOOMS[this.zoom];
    }

    build() {
      const { pair } = this;
      const head = (side) =>
        element(
          "p",
          { class: "lane-head" },
          element("strong", {}, side.toUpperCase()),
          ` ${pair[`split_${side}`]} `,
          element("span", { class: "path" }, pair[`path_${side}`]),
          side === "b" && pair.drawn ? ` (${pair.drawn})` : "",
        );
      this.canvases = { a: element("canvas", { class: "lane" }), b: element("canvas", { class: "lane" }) };
      this.playhead = element("div", { class: "playhead" });
      this.window = element("div", { class: "window" }, head("a"), this.canvases.a, head("b"), this.canvases.b, this.playhead);
      this.strip = element("div", { class: "strip" }, this.window);
      this.scroller = element("div", {
        class: "pair-scroller",
        role: "slider",
        tabindex: "0",
        "aria-label": "Place in the music",
        "aria-valuemin": "0",
        "aria-valuemax": String(Math.ceil(this.end - this.begin)),
      }, this.strip);
      this.overview = element("canvas", { class: "overview", "aria-hidden": "true" });
      this.button = {};
      const buttons = ["a", "b", "both"].map((mode) => {
        const made = element("button", { type: "button", class: "turn", "data-mode": mode });
        made.addEventListener("click", () => this.toggle(mode));
        return (this.button[mode] = made);
      });
      this.time = element("span", { class: "time", "aria-live": "off" });
      this.slider = element("input", { type: "range", min: "0", max: "100", "aria-label": "Volume", class: "volume" });
      this.slider.value = String(Math.round(Sequencer.volume * 100));
      this.slider.addEventListener("input", () => Sequencer.setVolume(Number(this.slider.value) / 100));
      this.tempo = element("input", { type: "range", min: "25", max: "200", step: "5", value: "100", "aria-label": "Tempo", class: "tempo" });
      this.percent = element("output", { class: "percent" }, "100 %");
      this.tempo.addEventListener("input", () => this.setRate(Number(this.tempo.value) / 100));
      const zoom = (step, label, sign) => {
        const made = element("button", { type: "button", class: "zoom", "aria-label": label }, sign);
        made.addEventListener("click", () => this.setZoom(this.zoom + step));
        return made;
      };
      const controls = element(
        "div",
        { class: "controls" },
        ...buttons,
        this.time,
        element("span", { class: "zooms" }, zoom(-1, "Zoom out", "−"), zoom(1, "Zoom in", "+")),
        element("label", { class: "pace" }, element("span", {}, "Tempo"), this.tempo, this.percent),
        element("label", { class: "loudness" }, element("span", {}, "Volume"), this.slider),
      );
      this.element = element("div", { class: "pair-view" }, this.overview, this.scroller, controls);
      this.listen();
      this.setMode(null);
    }

    listen() {
      const placeOf = (event) => this.begin + (event.clientX - this.window.getBoundingClientRect().left + this.scroller.scrollLeft) / this.scale;
      this.window.addEventListener("click", (event) => this.seek(placeOf(event)));
      this.scroller.addEventListener("scroll", () => this.draw());
      this.overview.addEventListener("click", (event) => {
        const box = this.overview.getBoundingClientRect();
        this.seek(this.begin + ((event.clientX - box.left) / box.width) * (this.end - this.begin));
        this.show(this.position);
      });
      this.scroller.addEventListener("keydown", (event) => this.onKey(event));
    }

    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const now = this.now();
      const targets = Roll.seekTargets(event, now, this.begin, this.end);
      if (event.key in targets) {
        this.seek(targets[event.key]);
        this.show(this.position);
      } else if (event.key === " " || event.key === "Enter") this.toggle(this.mode ?? "both");
      else return;
      event.preventDefault();
    }

    // Playing

    // Place on the axis.
    now() {
      if (!this.mode) return this.position;
      const lane = this.lanes[this.voice];
      // The first note may begin behind the place; and what one has alone is passed over while the other sounds.
      return Math.max(this.position, lane.place(lane.music.now()));
    }

    toggle(mode) {
      if (this.mode === mode) this.pause();
      else this.play(mode);
    }

    play(mode) {
      const from = this.now() >= this.end - 0.05 ? this.begin : this.now();
      playing?.pause();
      playing = this;
      this.mode = mode;
      this.startFrom(from);
      this.setMode(mode);
      this.frame = requestAnimationFrame(() => this.followMusic());
    }

    // What is alone in having music there is heard at once; nobody waits for the other's entry.
    startFrom(place) {
      this.passage = place;
      if (this.mode === "both") this.speak(this.firstOf(place), place);
      else this.speak(this.mode, Math.max(place, this.lanes[this.mode].begin - 0.5));
    }

    // Which of the two begins a passage.
    firstOf(place) {
      const { a, b } = this.lanes;
      const to = place + PASSAGE_SEC;
      return b.sounds(place, to) && !a.sounds(place, to) ? "b" : "a";
    }

    // Lets one of the two sound from a place of the axis on.
    speak(side, place) {
      this.voice = side;
      this.element.dataset.voice = side;
      this.position = place;
      const lane = this.lanes[side];
      lane.music.play(lane.sec(place), () => this.tick());
    }

    hush() {
      const { music } = this.lanes[this.voice];
      music.halt(music.now());
    }

    tick() {
      if (!this.mode) return;
      const now = this.now();
      const lane = this.lanes[this.voice];
      const isOver = lane.music.now() >= lane.endSec + TAIL_SEC || now >= this.end + TAIL_SEC;
      if (this.mode === "both" && (isOver || now >= this.passage + PASSAGE_SEC)) this.takeTurns();
      else if (isOver) this.pause();
      this.tell();
    }

    takeTurns() {
      this.hush();
      if (this.voice === "a" && this.lanes.b.sounds(this.passage, this.passage + PASSAGE_SEC)) {
        this.speak("b", this.passage);
        return;
      }
      this.passage += PASSAGE_SEC;
      if (this.passage >= this.end) this.stopAt(this.end);
      else this.speak(this.firstOf(this.passage), this.passage);
    }

    // Seconds of either one per second; the pitch stays.
    setRate(rate) {
      for (const lane of Object.values(this.lanes)) lane.music.set({ rate });
      this.percent.textContent = `${this.tempo.value} %`;
    }

    pause() {
      if (this.mode) this.stopAt(this.now());
    }

    stopAt(place) {
      this.hush();
      this.position = Math.min(place, this.end);
      if (playing === this) playing = null;
      cancelAnimationFrame(this.frame);
      this.setMode(null);
    }

    seek(place) {
      const to = Math.min(Math.max(this.begin, place), this.end);
      if (this.mode) {
        this.hush();
        this.startFrom(to);
      } else {
        this.position = to;
      }
      this.tell();
    }

    setMode(mode) {
      this.mode = mode;
      this.element.dataset.state = mode ?? "stopped";
      if (!mode) delete this.element.dataset.voice;
      const names = { a: "A", b: "B", both: "A and B in turn" };
      for (const [name, button] of Object.entries(this.button)) {
        button.textContent = `${mode === name ? "❚❚" : "▶"} ${names[name]}`;
        button.setAttribute("aria-label", `${mode === name ? "Pause" : "Play"} ${names[name]}`);
        button.setAttribute("aria-pressed", String(mode === name));
      }
      this.tell();
    }

    followMusic() {
      if (!this.mode) return;
      const x = (this.now() - this.begin) * this.scale;
      const { scrollLeft, clientWidth } = this.scroller;
      if (x < scrollLeft || x > scrollLeft + 0.9 * clientWidth) this.scroller.scrollLeft = x - 0.15 * clientWidth;
      this.tell();
      this.frame = requestAnimationFrame(() => this.followMusic());
    }

    // Says where we are: playhead, clocks, attributes.
    tell() {
      const now = Math.min(this.now(), this.end);
      const { a, b } = this.lanes;
      const clock = (lane) => Roll.clock(Math.min(Math.max(0, lane.sec(now)), lane.endSec));
      const text = `A ${clock(a)} · B ${clock(b)}`;
      this.element.dataset.place = now.toFixed(3);
      this.playhead.style.transform = `translateX(${(now - this.begin) * this.scale - this.scroller.scrollLeft}px)`;
      if (this.time.textContent !== text) {
        this.time.textContent = text;
        this.scroller.setAttribute("aria-valuenow", String(Math.floor(now - this.begin)));
        this.scroller.setAttribute("aria-valuetext", text);
        if (this.isLaidOut) this.drawOverview();
      }
    }

    // Drawing

    setZoom(zoom) {
      const middle = this.now();
      this.zoom = Math.min(Math.max(0, zoom), ZOOMS.length - 1);
      this.layOut();
      this.show(middle);
    }

    // Scrolls so that a place can be seen.
    show(place) {
      this.scroller.scrollLeft = (place - this.begin) * this.scale - 0.15 * this.scroller.clientWidth;
      this.draw();
    }

    layOut() {
      const width = this.scroller.clientWidth;
      if (!width) return;
      this.strip.style.width = `${Math.max(width, Math.ceil((this.end - this.begin) * this.scale) + 20)}px`;
      this.window.style.width = `${width}px`;
      if (this.isLaidOut) this.draw();
      else {
        this.isLaidOut = true;
        this.show(this.position);
      }
    }

    draw() {
      const width = this.scroller.clientWidth;
      if (!width) return;
      const left = this.begin + this.scroller.scrollLeft / this.scale;
      const colors = LaneDrawing.colorsOf(this.element);
      for (const side of ["a", "b"]) LaneDrawing.drawLane(this, side, this.canvases[side], left, width, colors);
      this.drawOverview(colors);
      this.tell();
    }

    drawOverview(colors = LaneDrawing.colorsOf(this.element)) {
      const from = this.begin + this.scroller.scrollLeft / this.scale;
      const window = { from, to: from + this.scroller.clientWidth / this.scale };
      const now = Math.min(this.now(), this.end);
      LaneDrawing.drawOverview(this, this.overview, this.element.clientWidth, window, now, colors);
    }
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const shown of document.querySelectorAll(".pair-view")) shown.view?.draw();
  });

  return {
    open(pair, data, a, b) {
      const view = new View(pair, data, a, b);
      view.element.view = view;
      return view;
    },
  };
})();
