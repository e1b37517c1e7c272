"use strict";
// What stands beneath a roll: buttons, tempo, loop, zoom, volume, files, and the marks as a list. Exposes `Controls`.
const Controls = (() => {
  const TEMPI = { min: 25, max: 200, step: 5 }; // percent
  const MAX_WAV_SEC = 1800; // a longer one would take more memory than a phone has

  const PLAY = make.icon.bind(null, { class: "icon-play", d: "M7 4v16l14-8z" }, { class: "icon-pause", d: "M6 4h4v16H6zM14 4h4v16h-4z" });
  const RESTART = make.icon.bind(null, { d: "M5 5h3v14H5zM20 5v14L9 12z" });

  const span = (from, to) => `${Roll.clock(from)}–${Roll.clock(to)}`;

  // What is heard as a file of that name.
  const fileName = (title) => `${title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 80) || "performance"}.wav`;

  function button(name, text, act) {
    const made = Words.say(make("button", { type: "button", class: name }), text);
    made.addEventListener("click", act);
    return made;
  }

  // A button of a picture or a sign, with what it does in words.
  function sign(name, picture, words, act) {
    const made = make("button", { type: "button", class: name }, picture);
    Words.say(made, words, {}, "aria-label");
    Words.say(made, words, {}, "title");
    made.addEventListener("click", act);
    return made;
  }

  function labelled(name, text, ...children) {
    return make("label", { class: name }, Words.say(make("span"), text), ...children);
  }

  class Controls {
    constructor(player) {
      this.player = player;
      this.play = make("button", { type: "button", class: "play" }, PLAY());
      this.play.addEventListener("click", () => player.toggle());
      this.time = make("span", { class: "time", translate: "no" });
      this.volume = make("input", { type: "range", class: "volume", min: "0", max: "100" });
      Words.say(this.volume, "Volume", {}, "aria-label");
      this.volume.addEventListener("input", () => Player.setVolume(Number(this.volume.value) / 100));
      this.tempo = make("input", { type: "range", class: "tempo", ...TEMPI });
      Words.say(this.tempo, "Tempo", {}, "aria-label");
      this.tempo.addEventListener("input", () => player.setRate(Number(this.tempo.value) / 100));
      this.percent = make("output", { class: "percent" });
      this.noLoop = button("chip no-loop", "off", () => player.setLoop(null));
      this.looped = make("output", { class: "looped" });
      this.notice = make("p", { class: "notice", role: "status" });
      this.actions = make("span", { class: "actions" }, ...this.files());
      const restart = sign("plain restart", RESTART(), "From the beginning", () => player.seek(0));
      const loop = make("span", { class: "loop", role: "group" },
        Words.say(make("span"), "Loop"),
        button("chip", "from here", () => player.loopFromHere()),
        button("chip", "to here", () => player.loopToHere()),
        this.noLoop,
        this.looped,
      );
      Words.say(loop, "Loop", {}, "aria-label");
      const zoom = make("span", { class: "zooms" },
        sign("chip", "−", "Zoom out", () => player.setZoom(player.zoom - 1)),
        sign("chip", "+", "Zoom in", () => player.setZoom(player.zoom + 1)),
      );
      const first = make("div", { class: "controls" }, this.play, restart, ...this.voices(), this.time, labelled("loudness", "Volume", this.volume), this.actions);
      const second = make("div", { class: "controls tuning" }, labelled("pace", "Tempo", this.tempo, this.percent), loop, zoom);
      this.marks = make("ul", { class: "marks" });
      player.roll.after(first, second, this.marks, this.notice);
      this.showVolume();
    }

    voices() {
      const { lanes } = this.player;
      if (lanes.length === 1) return [];
      this.voice = lanes.map((_, i) => {
        const made = make("button", { type: "button", class: "voice", translate: "no" }, Player.LETTERS[i]);
        Words.say(made, "Hear {name}", { name: Player.LETTERS[i] }, "aria-label");
        made.addEventListener("click", () => this.player.hear(i));
        return made;
      });
      const group = make("span", { class: "voices", role: "group" }, ...this.voice);
      Words.say(group, "What is heard", {}, "aria-label");
      return [group];
    }

    // Links and buttons for files, where there is one performance and it may be known.
    files() {
      const { player } = this;
      if (player.lanes.length > 1 || player.isBlind) return [];
      const midi = player.element.querySelector("a.download");
      this.wav = button("download wav", "WAV", () => this.saveWav());
      Words.say(this.wav, "Download {title} as WAV", { title: player.title }, "aria-label");
      if (player.seconds > MAX_WAV_SEC) {
        this.wav.disabled = true;
        Words.say(this.wav, "Longer than half an hour", {}, "title");
      }
      return midi ? [midi, this.wav] : [this.wav];
    }

    async saveWav() {
      const { player } = this;
      const show = (share) => Words.say(this.wav, "WAV {percent} %", { percent: Math.round(100 * share) });
      this.wav.disabled = true;
      this.wav.setAttribute("aria-busy", "true");
      this.notice.textContent = "";
      show(0);
      try {
        Wav.save(await Wav.of(player.music()[player.voice], player.rate, show), fileName(player.title));
      } catch (error) {
        Words.say(this.notice, "The WAV file could not be made: {error}", { error: error.message });
      } finally {
        this.wav.disabled = false;
        this.wav.removeAttribute("aria-busy");
        Words.say(this.wav, "WAV");
      }
    }

    // Marked passages, to be read and gone to.
    listMarks(musics) {
      const items = musics.flatMap((music) =>
        music.marks.map(([start, end, label]) => {
          const go = make("button", { type: "button", class: "chip", translate: "no" }, span(start, end));
          Words.say(go, "Go to {time}", { time: Roll.clock(start) }, "aria-label");
          go.addEventListener("click", () => this.player.seek(start));
          return make("li", {}, go, " ", make("span", { class: "label", translate: "no" }, label));
        }),
      );
      this.marks.replaceChildren(...items);
    }

    // What changes with a press of a button.
    show() {
      const { player } = this;
      const word = player.element.dataset.state === "playing" ? "Pause {title}" : "Play {title}";
      Words.say(this.play, word, { title: player.title }, "aria-label");
      player.element.dataset.rate = String(player.rate);
      player.element.dataset.voice = String(player.voice);
      this.tempo.value = String(Math.round(100 * player.rate));
      this.percent.textContent = `${this.tempo.value} %`;
      this.noLoop.disabled = !player.loop;
      this.looped.textContent = player.loop ? span(...player.loop) : "";
      this.voice?.forEach((made, i) => made.setAttribute("aria-pressed", String(i === player.voice)));
      player.lanes.forEach((lane, i) => lane.canvas.classList.toggle("waiting", i !== player.voice));
    }

    // What changes with time.
    tell(now) {
      const { seconds, roll } = this.player;
      const text = `${Roll.clock(now)} / ${Roll.clock(seconds)}`;
      if (this.time.textContent === text) return;
      this.time.textContent = text;
      roll.setAttribute("aria-valuenow", String(Math.floor(now)));
      Words.say(roll, "{now} of {end}", { now: Roll.clock(now), end: Roll.clock(seconds) }, "aria-valuetext");
    }

    showVolume() {
      this.volume.value = String(Math.round(100 * Sequencer.volume));
    }
  }

  return Controls;
})();
