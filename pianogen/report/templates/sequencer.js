"use strict";
// Plays notes from any place in them, at any tempo, round and round where asked. A timer hands them to the audio clock a
// little ahead of their onset, so a busy page delays the drawing but not the music. Exposes `Sequencer`; knows nothing of
// the page.
const Sequencer = (() => {
  const TICK_MS = 25;
  const AHEAD_SEC = 0.3;
  const AHEAD_HIDDEN_SEC = 2.5; // a tab in the background gets a tick each second
  const LEAD_SEC = 0.06;

  let audio = null; // { context, input, volume, analyser }, made at the first sound
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

  class Sequencer {
    // Notes { pitch, onset, duration, held, velocity } by onset; gain: how loud all of them are, beside other music.
    constructor(notes, gain = 1) {
      this.notes = notes;
      this.gain = gain;
      this.longest = notes.reduce((longest, note) => Math.max(longest, Synth.soundingSec(note)), 0);
      this.position = 0; // seconds of music, while not playing
      this.rate = 1; // seconds of music per second
      this.loop = null; // [from, to], seconds of music
      this.passes = []; // { position, at, next }: from where in the music, from when on, and the next note to be handed over
      this.voices = [];
      this.isPlaying = false;
    }

    // Seconds of music.
    now() {
      if (!this.passes.length) return this.position;
      const { currentTime } = audio.context;
      while (this.passes.length > 1 && this.passes[1].at <= currentTime) this.passes.shift();
      const { position, at } = this.passes[0];
      return position + Math.max(0, currentTime - at) * this.rate;
    }

    // Sounds from `position` on as soon as the device runs; `onTick` is called many times a second.
    async play(position, onTick) {
      const { context, input } = openAudio();
      const request = (this.request = {});
      this.isPlaying = true;
      this.position = position;
      if (!this.output) {
        this.output = new GainNode(context, { gain: this.gain });
        this.output.connect(input);
      }
      await context.resume();
      if (!this.isPlaying || this.request !== request) return;
      this.start(this.position);
      this.timer = setInterval(() => {
        this.schedule();
        onTick();
      }, TICK_MS);
    }

    start(position) {
      for (const note of this.notes) {
        if (note.onset > position + 1) break;
        if (note.onset + Synth.soundingSec(note) > position) Synth.string(note.pitch);
      }
      this.begin(position, audio.context.currentTime + LEAD_SEC);
      this.schedule();
    }

    // A pass from `position` on, which is heard at context time `at`, with the notes that sound there already under way.
    begin(position, at) {
      let next = this.notes.findIndex((note) => note.onset >= position);
      if (next < 0) next = this.notes.length;
      const pass = { position, at, next };
      this.passes.push(pass);
      for (let i = next - 1; i >= 0 && this.notes[i].onset > position - this.longest; i--) {
        const note = this.notes[i];
        if (note.onset + Synth.soundingSec(note) > position + 0.05) this.sound(note, pass);
      }
      return pass;
    }

    // Where a pass goes back to the beginning of the loop.
    endOf(pass) {
      return this.loop && pass.position < this.loop[1] ? this.loop[1] : Infinity;
    }

    sound(note, pass) {
      const from = Math.max(note.onset, pass.position);
      const to = Math.min(note.onset + Synth.soundingSec(note), this.endOf(pass));
      const when = Math.max(audio.context.currentTime, pass.at + (from - pass.position) / this.rate);
      const skipSec = (from - note.onset) / this.rate;
      this.voices.push(Synth.play(audio.context, this.output, note, when, (to - from) / this.rate, skipSec));
    }

    schedule() {
      if (!this.passes.length) return;
      const { currentTime } = audio.context;
      const ahead = currentTime + (document.hidden ? AHEAD_HIDDEN_SEC : AHEAD_SEC);
      let pass = this.passes.at(-1);
      let until = 0;
      for (;;) {
        const end = this.endOf(pass);
        until = Math.min(end, pass.position + (ahead - pass.at) * this.rate);
        while (pass.next < this.notes.length && this.notes[pass.next].onset < until) this.sound(this.notes[pass.next++], pass);
        if (until < end) break;
        pass = this.begin(this.loop[0], pass.at + (end - pass.position) / this.rate);
      }
      this.voices = this.voices.filter((voice) => voice.end > currentTime);
      // One string a tick is rendered in advance, so that a new register does not come in a burst.
      for (let i = pass.next; i < this.notes.length && this.notes[i].onset < until + 3; i++) {
        if (!Synth.isReady(this.notes[i].pitch)) {
          Synth.string(this.notes[i].pitch);
          break;
        }
      }
    }

    seek(position) {
      if (this.passes.length) {
        this.silence();
        this.start(position);
      } else {
        this.position = position;
      }
    }

    // Changes `rate` or `loop`; the music goes on where it is.
    set(changes) {
      const now = this.now();
      Object.assign(this, changes);
      this.seek(now);
    }

    halt(position) {
      this.silence();
      clearInterval(this.timer);
      this.position = position;
      this.isPlaying = false;
    }

    silence() {
      for (const voice of this.voices) Synth.stop(audio.context, voice);
      this.voices = [];
      this.passes = [];
    }

    static get volume() {
      return volume;
    }

    static setVolume(value) {
      volume = value;
      // The ear hears a square as an even step.
      if (audio) audio.volume.gain.setTargetAtTime(value ** 2, audio.context.currentTime, 0.02);
    }

    // Loudness of what is heard now: root mean square, and peak.
    static level() {
      const samples = new Float32Array(8192);
      audio?.analyser.getFloatTimeDomainData(samples);
      const squares = samples.reduce((sum, value) => sum + value * value, 0);
      return { rms: Math.sqrt(squares / samples.length), peak: Math.max(...samples.map(Math.abs)) };
    }
  }

  return Sequencer;
})();
