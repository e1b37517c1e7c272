"use strict";
// Plays notes from any place in them. A timer hands them to the audio clock a little ahead of their onset, so a busy
// page delays the drawing but not the music. Exposes `Sequencer`; knows nothing of the page.
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
    // Notes { pitch, onset, duration, velocity } by onset.
    constructor(notes) {
      this.notes = notes;
      this.longest = notes.reduce((longest, note) => Math.max(longest, note.duration), 0);
      this.position = 0; // seconds of music, while not playing
      this.voices = [];
      this.isPlaying = false;
    }

    // Seconds of music.
    now() {
      if (!this.isPlaying) return this.position;
      return Math.max(this.position, this.position + audio.context.currentTime - this.startedAt);
    }

    // Sounds from `position` on as soon as the device runs; `onTick` is called many times a second.
    async play(position, onTick) {
      const { context } = openAudio();
      const request = (this.request = {});
      this.isPlaying = true;
      this.position = position;
      this.startedAt = Infinity; // silent until the device runs
      await context.resume();
      if (!this.isPlaying || this.request !== request) return;
      this.start(this.position);
      this.timer = setInterval(() => {
        this.schedule();
        onTick();
      }, TICK_MS);
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
      if (!this.isPlaying || this.startedAt === Infinity) return;
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

    seek(position) {
      if (this.isPlaying && this.startedAt < Infinity) {
        this.silence();
        this.start(position);
      } else {
        this.position = position;
      }
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
