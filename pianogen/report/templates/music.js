"use strict";
// One performance as the page holds it: rows of notes, the pedal, the marks. Exposes `Music`.
const Music = (() => {
  class Music {
    // data: { notes: [pitch, onset, duration, velocity, seconds that the pedal holds it] each, pedal: [press, lift] each,
    // marks: [start, end, label] each, prompt_sec, duration_sec }; times in seconds. isEven: as loud as any other that is.
    constructor(data, isEven = false) {
      this.notes = data.notes.map(([pitch, onset, duration, velocity, held = 0]) => ({ pitch, onset, duration, velocity, held }));
      this.pedal = data.pedal ?? [];
      this.marks = data.marks ?? [];
      this.promptSec = data.prompt_sec ?? 0;
      this.seconds = data.duration_sec;
      this.longest = this.notes.reduce((longest, note) => Math.max(longest, Synth.soundingSec(note)), 0);
      this.gain = isEven ? Synth.evenGain(this.notes) : 1;
      this.sound = new Sequencer(this.notes, this.gain);
    }

    // Number of the first note from a time on.
    firstFrom(sec) {
      let low = 0;
      let high = this.notes.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.notes[middle].onset < sec) low = middle + 1;
        else high = middle;
      }
      return low;
    }
  }

  return Music;
})();
