"use strict";
// One of the two performances of a pair on the common axis of time, and how both are drawn. Exposes `Lane`, and
// `LaneDrawing`.
const Lane = (() => {
  // Straight lines through (from, to); beyond them at a pace. A time at which `from` stands still lies behind the wait.
  function follow(value, from, to, paceOutside) {
    const last = from.length - 1;
    if (value < from[0]) return to[0] + (value - from[0]) * paceOutside;
    if (value >= from[last]) return to[last] + (value - from[last]) * paceOutside;
    let low = 0;
    let high = last;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (from[middle] <= value) low = middle;
      else high = middle;
    }
    return to[low] + ((value - from[low]) / (from[high] - from[low])) * (to[high] - to[low]);
  }

  function firstFrom(notes, place) {
    let low = 0;
    let high = notes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (notes[middle].start < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // One of the two: its notes, where they lie on the axis, and what plays them.
  class Lane {
    constructor(side, data, times, own, pace, matched) {
      let onset = 0;
      this.side = side;
      this.times = times;
      this.own = own;
      this.pace = pace; // seconds of this one per second of the axis
      this.notes = data.pitch.map((pitch, i) => {
        onset += data.onset[i] / 1000;
        const duration = data.duration[i] / 1000;
        const start = this.place(onset);
        // A note held over a passage that the other one has alone is not drawn through it.
        const end = Math.min(this.place(onset + duration), start + (1.5 * duration) / pace + 0.5);
        const held = (data.held?.[i] ?? 0) / 1000;
        return { pitch, onset, duration, held, velocity: data.velocity[i], start, end, isMatched: matched.has(i) };
      });
      this.longest = this.notes.reduce((longest, note) => Math.max(longest, note.end - note.start), 0);
      this.music = new Sequencer(this.notes);
      this.waits = this.findWaits();
      this.begin = this.notes.length ? this.notes[0].start : 0;
      this.end = this.notes.reduce((end, note) => Math.max(end, note.end), this.begin);
      this.endSec = this.notes.reduce((end, note) => Math.max(end, note.onset + note.duration), 0);
    }

    place(sec) {
      return follow(sec, this.own, this.times, 1 / this.pace);
    }

    sec(place) {
      return follow(place, this.times, this.own, this.pace);
    }

    // Whether a note begins in a span of the axis.
    sounds(from, to) {
      const next = this.notes[firstFrom(this.notes, from)];
      return next !== undefined && next.start < to;
    }

    // Spans of the axis in which this one waits for the other.
    findWaits() {
      const spans = [];
      for (let i = 1; i < this.times.length; i++) {
        if (this.own[i] - this.own[i - 1] < 0.02 * this.pace * (this.times[i] - this.times[i - 1])) {
          spans.push([this.times[i - 1], this.times[i]]);
        }
      }
      return spans.filter(([from, to]) => to - from > 0.5);
    }
  }

  Lane.firstFrom = firstFrom;
  return Lane;
})();

// Draws lanes. A view has `lanes`, `rows`, `begin`, `end`, `scale` (pixels per second of the axis) and `pair`, the row of
// the list.
const LaneDrawing = (() => {
  const HEIGHT = 170;
  const TOP = 16; // room for the time scale of a lane
  const OVERVIEW_HEIGHT = 46;

  const colorsOf = (element) => Roll.themeColors(element, ["match", "rest", "wait"]);

  // The pitch of b lies where a's would: both lanes show the same rows.
  function rowOf(pair, side, pitch) {
    if (side === "a") return pitch;
    return pair.is_mirrored ? pair.semitones - pitch : pitch - pair.semitones;
  }

  // Lowest and highest row of both.
  function rowsOf(pair, lanes) {
    let low = Infinity;
    let high = -Infinity;
    for (const side of ["a", "b"]) {
      for (const note of lanes[side].notes) {
        const row = rowOf(pair, side, note.pitch);
        low = Math.min(low, row);
        high = Math.max(high, row);
      }
    }
    // Two octaves at least, so that a few notes are not drawn as thick bars.
    const missing = Math.max(0, 24 - (high - low));
    return { low: low - 1 - Math.floor(missing / 2), high: high + 1 + Math.ceil(missing / 2) };
  }

  // The part of a lane from `left` on that `width` pixels hold.
  function drawLane(view, side, canvas, left, width, colors) {
    const lane = view.lanes[side];
    const { scale, rows } = view;
    const pen = Roll.prepare(canvas, width, HEIGHT);
    const height = (HEIGHT - TOP) / (rows.high - rows.low + 1);
    const y = (pitch) => TOP + (rows.high - rowOf(view.pair, side, pitch)) * height;
    const x = (place) => (place - left) * scale;
    const right = left + width / scale;
    const shown = Array.from({ length: 128 }, (_, pitch) => pitch).filter((pitch) => {
      const row = rowOf(view.pair, side, pitch);
      return row >= rows.low && row <= rows.high;
    });
    pen.fillStyle = colors.ground;
    pen.fillRect(0, 0, width, HEIGHT);
    pen.fillStyle = colors.blackKey;
    for (const pitch of shown) if (Roll.isBlackKey(pitch)) pen.fillRect(0, y(pitch), width, height);
    pen.fillStyle = colors.wait;
    for (const [from, to] of lane.waits) {
      if (to > left && from < right) pen.fillRect(x(from), TOP, (to - from) * scale, HEIGHT);
    }
    pen.font = "10px system-ui, sans-serif";
    pen.textBaseline = "middle";
    drawTimes(pen, lane, scale, x, left, right, colors);
    for (let i = Lane.firstFrom(lane.notes, left - lane.longest); i < lane.notes.length; i++) {
      const note = lane.notes[i];
      if (note.start > right) break;
      const length = Math.max(2.5, (note.end - note.start) * scale - 1);
      pen.fillStyle = note.isMatched ? colors.match : colors.rest;
      pen.globalAlpha = note.isMatched ? 0.45 + (0.55 * note.velocity) / 127 : 0.8;
      pen.fillRect(x(note.start), y(note.pitch), length, Math.max(2.5, height - 0.5));
    }
    pen.globalAlpha = 1;
    for (const pitch of shown) if (pitch % 12 === 0) drawOctave(pen, pitch, y(pitch), height, width, colors);
  }

  function drawOctave(pen, pitch, y, height, width, colors) {
    pen.fillStyle = colors.octave;
    pen.fillRect(0, y + height, width, 1);
    pen.fillStyle = colors.ground;
    pen.fillRect(1, y + height / 2 - 6, 21, 12);
    pen.fillStyle = colors.text;
    pen.fillText(`C${pitch / 12 - 1}`, 4, y + height / 2);
  }

  // Each lane has its own clock.
  function drawTimes(pen, lane, scale, x, left, right, colors) {
    const step = Roll.timeStep(scale / lane.pace);
    const first = Math.max(0, Math.ceil(lane.sec(left) / step) * step);
    for (let sec = first; sec <= Math.min(lane.endSec, lane.sec(right)); sec += step) {
      pen.fillStyle = colors.line;
      pen.fillRect(Math.round(x(lane.place(sec))), TOP - 4, 1, HEIGHT);
      pen.fillStyle = colors.text;
      pen.fillText(Roll.clock(sec), x(lane.place(sec)) + 3, 7);
    }
  }

  // All of both, A above B: where they agree, the window on the screen (places), and where we are.
  function drawOverview(view, canvas, width, window, now, colors) {
    const pen = Roll.prepare(canvas, width, OVERVIEW_HEIGHT);
    const scale = width / (view.end - view.begin);
    const half = OVERVIEW_HEIGHT / 2;
    const { low, high } = view.rows;
    pen.fillStyle = colors.ground;
    pen.fillRect(0, 0, width, OVERVIEW_HEIGHT);
    ["a", "b"].forEach((side, number) => {
      for (const note of view.lanes[side].notes) {
        pen.fillStyle = note.isMatched ? colors.match : colors.rest;
        const y = number * half + 1 + ((high - rowOf(view.pair, side, note.pitch)) / (high - low)) * (half - 4);
        pen.fillRect((note.start - view.begin) * scale, y, Math.max(1, (note.end - note.start) * scale), 1.5);
      }
    });
    pen.fillStyle = colors.octave;
    pen.fillRect(0, half - 0.5, width, 1);
    pen.strokeStyle = colors.text;
    const from = (window.from - view.begin) * scale;
    const length = Math.min(width - from - 1, (window.to - window.from) * scale);
    pen.strokeRect(from + 0.5, 0.5, length, OVERVIEW_HEIGHT - 1);
    pen.fillStyle = colors.text;
    pen.fillRect((now - view.begin) * scale - 0.5, 0, 1.5, OVERVIEW_HEIGHT);
  }

  return { colorsOf, rowsOf, drawLane, drawOverview };
})();
