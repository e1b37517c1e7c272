"use strict";
// Plays one performance, or several on one axis of time, of which one is heard and the others wait at the same place; see
// controls.js for what stands beneath the roll. Exposes `Player`.
const Player = (() => {
  const TAIL_SEC = 0.5; // the last note fades
  const HEIGHT = 190;
  const HEIGHT_BESIDE = 150; // of several
  const PIXELS_PER_SEC = 26; // at least, at first; a short performance is stretched to the width it has
  const MOST_PIXELS_PER_SEC = 420;
  const ZOOM = 1.5;
  const SHORTEST_LOOP_SEC = 0.1;
  const STILL_SEC = 0.5; // between two places of the playhead where motion is not wanted
  const LETTERS = "ABCDEFGH";

  const players = new Set();
  const isStill = matchMedia("(prefers-reduced-motion: reduce)");
  let playing = null; // the one Player that sounds

  class Player {
    // element: becomes the player; `data-title`, `data-seconds`, and a script of notes for each performance stand in it.
    // data: the performances, where none stands in it; isEven: all are made equally loud; isBlind: nothing tells whose they
    // are.
    constructor(element, { data = null, isEven = false, isBlind = false } = {}) {
      this.element = element;
      this.title = element.dataset.title;
      this.scripts = element.querySelectorAll("script.notes");
      this.given = data;
      this.isEven = isEven;
      this.isBlind = isBlind;
      this.seconds = Number(element.dataset.seconds);
      this.rate = 1;
      this.loop = null;
      this.zoom = 0;
      this.voice = 0; // which one is heard
      this.build(data?.length ?? this.scripts.length);
      this.controls = new Controls(this);
      this.listen();
      this.setState("stopped");
      players.add(this);
    }

    // Data, as `Music` takes it.
    data() {
      return (this.given ??= Array.from(this.scripts, (script) => JSON.parse(script.textContent)));
    }

    // The performances. Hundreds of them stand in a page, and most are never looked at.
    music() {
      if (!this.musics) {
        this.musics = this.data().map((data) => new Music(data, this.isEven));
        this.range = Roll.pitchRange(...this.musics.map((music) => music.notes));
        this.musics.forEach((music) => music.sound.set({ rate: this.rate }));
        this.data().forEach((data, i) => this.lanes[i].head?.querySelector(".name").replaceChildren(this.isBlind ? "" : (data.title ?? "")));
        this.controls.listMarks(this.musics);
      }
      return this.musics;
    }

    get heard() {
      return this.music()[this.voice].sound;
    }

    build(num) {
      this.lanes = Array.from({ length: num }, (_, i) => {
        const canvas = make("canvas", { class: "notes", "aria-hidden": "true" });
        if (num === 1) return { canvas, head: null };
        const head = make("p", { class: "lane-head", translate: "no" }, make("strong", {}, LETTERS[i]), " ", make("span", { class: "name" }));
        return { canvas, head };
      });
      this.height = num > 1 ? HEIGHT_BESIDE : HEIGHT;
      this.playhead = make("div", { class: "playhead" });
      this.window = make("div", { class: "window" }, ...this.lanes.flatMap(({ head, canvas }) => (head ? [head, canvas] : [canvas])), this.playhead);
      this.strip = make("div", { class: "strip" }, this.window);
      this.scroller = make("div", { class: "scroller" }, this.strip);
      this.roll = make("div", { class: "roll", role: "slider", tabindex: "0", "aria-valuemin": "0", "aria-valuemax": String(Math.ceil(this.seconds)) }, this.scroller);
      if (document.getElementById("player-keys")) this.roll.setAttribute("aria-describedby", "player-keys");
      Words.say(this.roll, "Position in {title}", { title: this.title }, "aria-label");
      for (const { canvas } of this.lanes) canvas.style.height = `${this.height}px`;
      this.element.prepend(this.roll);
    }

    // Playing

    now() {
      return this.musics ? this.heard.now() : 0;
    }

    toggle() {
      if (playing === this) this.pause();
      else this.play();
    }

    play() {
      playing?.pause();
      playing = this;
      const isOver = this.now() >= (this.loop?.[1] ?? this.seconds);
      this.sound(isOver ? (this.loop?.[0] ?? 0) : this.now());
      this.setState("playing");
      this.frame = requestAnimationFrame(() => this.follow());
    }

    sound(from) {
      this.heard.play(from, () => this.tick());
    }

    tick() {
      this.show();
      this.element.dispatchEvent(new Event("sound"));
      if (this.now() >= this.seconds + TAIL_SEC * this.rate) {
        this.halt(this.seconds);
        this.setState("ended");
      }
    }

    follow() {
      if (playing !== this) return;
      this.show();
      const x = Math.min(this.now(), this.seconds) * this.scale;
      const { scrollLeft, clientWidth } = this.scroller;
      if (x < scrollLeft || x > scrollLeft + 0.85 * clientWidth) this.scroller.scrollLeft = x - 0.15 * clientWidth;
      this.frame = requestAnimationFrame(() => this.follow());
    }

    halt(position) {
      this.heard.halt(Math.min(position, this.seconds));
      cancelAnimationFrame(this.frame);
      if (playing === this) playing = null;
    }

    pause() {
      this.halt(this.now());
      this.setState("paused");
    }

    seek(seconds) {
      this.heard.seek(this.within(seconds));
      if (playing !== this && this.element.dataset.state === "ended") this.setState("paused");
      this.show();
    }

    within(seconds) {
      return Math.min(Math.max(0, seconds), this.seconds);
    }

    // Lets another one of the performances be heard, from the place where we are.
    hear(voice) {
      if (voice === this.voice) return;
      const now = this.now();
      const isPlaying = playing === this;
      if (isPlaying) this.heard.halt(now);
      this.voice = voice;
      if (isPlaying) this.sound(now);
      else this.heard.seek(now);
      this.controls.show();
      this.show();
    }

    hearNext() {
      this.hear((this.voice + 1) % this.lanes.length);
    }

    // rate: seconds of music per second.
    setRate(rate) {
      this.rate = rate;
      this.music().forEach((music) => music.sound.set({ rate }));
      this.controls.show();
    }

    // Round and round between two places; null: no longer.
    setLoop(from, to) {
      const ends = from === null ? null : [this.within(Math.min(from, to)), this.within(Math.max(from, to))];
      if (ends && ends[1] - ends[0] < SHORTEST_LOOP_SEC) return;
      const now = this.now();
      this.loop = ends;
      this.music().forEach((music) => music.sound.set({ loop: ends }));
      if (ends && (now < ends[0] || now >= ends[1])) this.seek(ends[0]);
      this.controls.show();
      this.draw();
    }

    loopFromHere() {
      const now = this.now();
      this.setLoop(now, this.loop && this.loop[1] > now ? this.loop[1] : this.seconds);
    }

    loopToHere() {
      const now = this.now();
      this.setLoop(this.loop && this.loop[0] < now ? this.loop[0] : 0, now);
    }

    // Hands, mice and keys

    listen() {
      this.roll.addEventListener("keydown", (event) => this.onKey(event));
      this.scroller.addEventListener("scroll", () => this.draw());
      const place = (event) => this.within((event.clientX - this.window.getBoundingClientRect().left + this.scroller.scrollLeft) / this.scale);
      let drag = null;
      let isTouch = false;
      this.window.addEventListener("pointerdown", (event) => {
        isTouch = event.pointerType === "touch";
        this.setSeen(true);
        if (isTouch || event.button !== 0) return;
        this.window.setPointerCapture(event.pointerId);
        drag = { from: place(event), isLoop: event.shiftKey };
      });
      this.window.addEventListener("pointermove", (event) => {
        if (!drag) return;
        if (drag.isLoop) this.draw([drag.from, place(event)].sort((a, b) => a - b));
        else this.preview = place(event);
        this.show();
      });
      this.window.addEventListener("pointerup", (event) => {
        if (drag?.isLoop) this.setLoop(drag.from, place(event));
        else if (drag) this.seek(place(event));
        this.endDrag();
        drag = null;
      });
      this.window.addEventListener("pointercancel", () => {
        drag = null;
        this.endDrag();
      });
      // A finger that moves scrolls, and one that does not goes there.
      this.window.addEventListener("click", (event) => isTouch && this.seek(place(event)));
    }

    endDrag() {
      this.preview = null;
      this.draw();
      this.show();
    }

    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const now = this.now();
      const targets = Roll.seekTargets(event, now, 0, this.seconds);
      const acts = {
        " ": () => this.toggle(),
        Enter: () => this.toggle(),
        "[": () => this.loopFromHere(),
        "]": () => this.loopToHere(),
        l: () => this.setLoop(null),
        x: () => this.hearNext(),
        "+": () => this.setZoom(this.zoom + 1),
        "-": () => this.setZoom(this.zoom - 1),
      };
      if (event.key in targets) this.seek(targets[event.key]);
      else if (event.key in acts) acts[event.key]();
      else return;
      event.preventDefault();
    }

    // What is seen

    setState(state) {
      this.element.dataset.state = state;
      this.controls.show();
      this.show();
    }

    show() {
      const now = this.preview ?? Math.min(this.now(), this.seconds);
      this.element.dataset.time = now.toFixed(3);
      const isMoved = !isStill.matches || playing !== this || Math.abs(now - this.shown) >= STILL_SEC;
      if (this.scale && isMoved) {
        this.shown = now;
        this.playhead.style.transform = `translateX(${now * this.scale - this.scroller.scrollLeft}px)`;
      }
      this.controls.tell(now);
    }

    // Powers of `ZOOM` from the first view on.
    setZoom(zoom) {
      const middle = this.now();
      const least = Math.log(this.fit() / this.usual()) / Math.log(ZOOM);
      const most = Math.log(MOST_PIXELS_PER_SEC / this.usual()) / Math.log(ZOOM);
      this.zoom = Math.max(least, Math.min(most, zoom));
      this.layOut();
      this.scroller.scrollLeft = middle * this.scale - 0.4 * this.scroller.clientWidth;
      this.draw();
    }

    fit() {
      return this.scroller.clientWidth / Math.max(this.seconds, 0.001);
    }

    usual() {
      return Math.max(this.fit(), PIXELS_PER_SEC);
    }

    layOut() {
      const width = this.scroller.clientWidth;
      if (!width) return;
      this.scale = this.usual() * ZOOM ** this.zoom;
      this.strip.style.width = `${Math.max(width, Math.floor(this.seconds * this.scale))}px`;
      this.window.style.width = `${width}px`;
      this.draw();
      this.show();
    }

    draw(loop = this.loop) {
      if (!this.scale || !this.isSeen) return;
      const seen = { left: this.scroller.scrollLeft / this.scale, scale: this.scale, seconds: this.seconds, range: this.range, loop };
      this.music().forEach((music, i) => Roll.draw(this.lanes[i].canvas, music, seen, this.scroller.clientWidth, this.height));
      this.show();
    }

    // Begins to be seen, or ceases; pictures that nobody sees would fill the memory.
    setSeen(isSeen) {
      if (this.isSeen === isSeen) return;
      this.isSeen = isSeen;
      if (isSeen) {
        this.music();
        this.resized ??= new ResizeObserver(() => this.layOut());
        this.resized.observe(this.roll);
        this.layOut();
      } else {
        this.resized?.disconnect();
        for (const { canvas } of this.lanes) canvas.width = 0;
      }
    }

    // Ends for good.
    close() {
      if (playing === this) this.pause();
      this.setSeen(false);
      players.delete(this);
    }

    static setVolume(value) {
      Sequencer.setVolume(value);
      for (const player of players) player.controls.showVolume();
    }

    static redraw() {
      for (const player of players) player.draw();
    }
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", Player.redraw);
  document.addEventListener("visibilitychange", () => playing?.heard.schedule());
  Player.LETTERS = LETTERS;
  return Player;
})();
