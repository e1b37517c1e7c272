"use strict";
// Plays the samples of the page, one at a time. A timer hands notes to the audio clock a little ahead of
// their onset, so a busy page delays the drawing but not the music.
(() => {
  const TICK_MS = 25;
  const AHEAD_SEC = 0.3;
  const AHEAD_HIDDEN_SEC = 2.5; // a tab in the background gets a tick each second
  const TAIL_SEC = 0.5; // the last note fades
  const LEAD_SEC = 0.06;
  const ROLL_HEIGHT = 190;

  let audio = null; // { context, input, volume, analyser }, made at the first sound
  let playing = null; // the one Player that sounds
  let volume = 0.8;

  function openAudio() {
    if (!audio) {
      const context = new AudioContext();
      const { input, volume: gain } = Synth.master(context);
      const analyser = new AnalyserNode(context, { fftSize: 8192 });
      gain.connect(analyser);
      gain.gain.value = volume ** 2;
      audio = { context, input, volume: gain, analyser };
    }
    return audio;
  }

  class Player {
    constructor(element) {
      const data = JSON.parse(element.querySelector("script.notes").textContent);
      this.element = element;
      this.notes = data.notes.map(([pitch, onset, duration, velocity]) => ({ pitch, onset, duration, velocity }));
      this.longest = this.notes.reduce((longest, note) => Math.max(longest, note.duration), 0);
      this.seconds = data.duration_sec;
      this.promptSec = data.prompt_sec;
      this.position = 0; // seconds of music, while not playing
      this.voices = [];
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
      if (playing !== this) return this.position;
      return Math.max(this.position, this.position + audio.context.currentTime - this.startedAt);
    }

    toggle() {
      if (playing === this) this.pause();
      else this.play();
    }

    async play() {
      const { context } = openAudio();
      playing?.pause();
      if (this.position >= this.seconds) this.position = 0;
      const request = (this.request = {});
      playing = this;
      this.startedAt = Infinity; // silent until the device runs
      this.setState("playing");
      await context.resume();
      if (playing !== this || this.request !== request) return;
      this.start(this.position);
      this.timer = setInterval(() => this.tick(), TICK_MS);
      this.frame = requestAnimationFrame(() => this.follow());
    }

    // Begins at `position`, with the notes that sound there already under way.
    start(position) {
      this.position = position;
      for (const note of this.notes) {
        if (note.onset > position + 1) break;
        if (note.onset + note.duration > position) Synth.string(note.pitch);
      }
      this.startedAt = audio.context.currentTime + LEAD_SEC;
      this.next = this.notes.findIndex((note) => note.onset >= position);
      if (this.next < 0) this.next = this.notes.length;
      for (let i = this.next - 1; i >= 0 && this.notes[i].onset > position - this.longest; i--) {
        const note = this.notes[i];
        if (note.onset + note.duration > position + 0.05) this.sound(note, this.startedAt, position - note.onset);
      }
      this.schedule();
    }

    sound(note, when, skipSec = 0) {
      this.voices.push(Synth.play(audio.context, audio.input, note, when, skipSec));
    }

    schedule() {
      const { context } = audio;
      const until = this.now() + (document.hidden ? AHEAD_HIDDEN_SEC : AHEAD_SEC);
      while (this.next < this.notes.length && this.notes[this.next].onset < until) {
        const note = this.notes[this.next++];
        this.sound(note, Math.max(context.currentTime, this.startedAt + note.onset - this.position));
      }
      this.voices = this.voices.filter((voice) => voice.end > context.currentTime);
      // One string a tick is rendered in advance, so that a new register does not come in a burst.
      for (let i = this.next; i < this.notes.length && this.notes[i].onset < until + 3; i++) {
        if (!Synth.isReady(this.notes[i].pitch)) {
          Synth.string(this.notes[i].pitch);
          break;
        }
      }
    }

    tick() {
      this.schedule();
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
      this.silence();
      clearInterval(this.timer);
      cancelAnimationFrame(this.frame);
      this.position = Math.min(position, this.seconds);
      if (playing === this) playing = null;
    }

    silence() {
      for (const voice of this.voices) Synth.stop(audio.context, voice);
      this.voices = [];
    }

    pause() {
      this.halt(this.now());
      this.setState("paused");
    }

    seek(seconds) {
      const position = Math.min(Math.max(0, seconds), this.seconds);
      if (playing === this && this.startedAt < Infinity) {
        this.silence();
        this.start(position);
      } else {
        this.position = position;
        if (this.element.dataset.state === "ended") this.setState("paused");
      }
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
    volume = value;
    // The ear hears a square as an even step.
    if (audio) audio.volume.gain.setTargetAtTime(value ** 2, audio.context.currentTime, 0.02);
    for (const player of players) player.slider.value = String(Math.round(value * 100));
  }

  const players = Array.from(document.querySelectorAll(".sample[data-state]"), (element) => new Player(element));
  setVolume(volume);
  const redraw = () => players.forEach((player) => player.draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("visibilitychange", () => playing?.startedAt < Infinity && playing.schedule());

  // Loudness of what is heard now (root mean square, and peak), and the synth without a loudspeaker.
  window.pianogen = {
    level() {
      const samples = new Float32Array(8192);
      audio?.analyser.getFloatTimeDomainData(samples);
      const squares = samples.reduce((sum, value) => sum + value * value, 0);
      return { rms: Math.sqrt(squares / samples.length), peak: Math.max(...samples.map(Math.abs)) };
    },
    renderOffline: Synth.renderOffline,
  };
})();
