"use strict";
// Plays the samples of the page, one at a time.
(() => {
  const TAIL_SEC = 0.5; // the last note fades
  const ROLL_HEIGHT = 190;

  let playing = null; // the one Player that sounds

  class Player {
    constructor(element) {
      const data = JSON.parse(element.querySelector("script.notes").textContent);
      this.element = element;
      this.notes = data.notes.map(([pitch, onset, duration, velocity]) => ({ pitch, onset, duration, velocity }));
      this.music = new Sequencer(this.notes);
      this.seconds = data.duration_sec;
      this.promptSec = data.prompt_sec;
      this.roll = element.querySelector(".roll");
      this.scroller = element.querySelector(".scroller");
      this.canvas = element.querySelector("canvas.notes");
      this.keys = element.querySelector("canvas.keys");
      this.playhead = element.querySelector(".playhead");
      this.button = element.querySelector("button.play");
      this.time = element.querySelector(".time");
      this.slider = element.querySelector("input.volume");
      this.listen();
      this.setState("stopped");
      this.draw();
      new ResizeObserver(() => this.draw()).observe(this.roll);
    }

    listen() {
      this.button.addEventListener("click", () => this.toggle());
      this.scroller.addEventListener("click", (event) => {
        this.seek((event.clientX - this.canvas.getBoundingClientRect().left) / this.scale);
      });
      this.roll.addEventListener("keydown", (event) => this.onKey(event));
      this.slider.addEventListener("input", () => setVolume(Number(this.slider.value) / 100));
    }

    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const now = this.now();
      const targets = {
        ArrowRight: now + (event.shiftKey ? 5 : 1),
        ArrowUp: now + 1,
        ArrowLeft: now - (event.shiftKey ? 5 : 1),
        ArrowDown: now - 1,
        PageUp: now + 10,
        PageDown: now - 10,
        Home: 0,
        End: this.seconds,
      };
      if (event.key in targets) this.seek(targets[event.key]);
      else if (event.key === " " || event.key === "Enter") this.toggle();
      else return;
      event.preventDefault();
    }

    now() {
      return this.music.now();
    }

    toggle() {
      if (playing === this) this.pause();
      else this.play();
    }

    play() {
      playing?.pause();
      playing = this;
      const from = this.now() >= this.seconds ? 0 : this.now();
      this.music.play(from, () => this.tick());
      this.setState("playing");
      this.frame = requestAnimationFrame(() => this.follow());
    }

    tick() {
      this.show();
      if (this.now() >= this.seconds + TAIL_SEC) {
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
      this.music.halt(Math.min(position, this.seconds));
      cancelAnimationFrame(this.frame);
      if (playing === this) playing = null;
    }

    pause() {
      this.halt(this.now());
      this.setState("paused");
    }

    seek(seconds) {
      this.music.seek(Math.min(Math.max(0, seconds), this.seconds));
      if (playing !== this && this.element.dataset.state === "ended") this.setState("paused");
      this.show();
    }

    setState(state) {
      this.element.dataset.state = state;
      const word = state === "playing" ? "Pause" : "Play";
      this.button.setAttribute("aria-label", `${word} ${this.element.dataset.title}`);
      this.show();
    }

    show() {
      const now = Math.min(this.now(), this.seconds);
      const text = `${Roll.clock(now)} / ${Roll.clock(this.seconds)}`;
      this.element.dataset.time = now.toFixed(3);
      if (this.scale) this.playhead.style.transform = `translateX(${now * this.scale}px)`;
      if (this.time.textContent !== text) {
        this.time.textContent = text;
        this.roll.setAttribute("aria-valuenow", Math.floor(now));
        this.roll.setAttribute("aria-valuetext", `${Roll.clock(now)} of ${Roll.clock(this.seconds)}`);
      }
    }

    draw() {
      const available = this.scroller.clientWidth;
      if (!available) return;
      const { canvas, keys, notes, seconds, promptSec } = this;
      this.scale = Roll.draw(canvas, keys, notes, seconds, promptSec, available, ROLL_HEIGHT);
      this.show();
    }
  }

  function setVolume(value) {
    Sequencer.setVolume(value);
    for (const player of players) player.slider.value = String(Math.round(value * 100));
  }

  const players = Array.from(document.querySelectorAll(".sample[data-state]"), (element) => new Player(element));
  setVolume(Sequencer.volume);
  const redraw = () => players.forEach((player) => player.draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("visibilitychange", () => playing?.music.schedule());

  // Loudness of what is heard now, and the synth without a loudspeaker.
  window.pianogen = { level: Sequencer.level, renderOffline: Synth.renderOffline };
})();
