"use strict";
// Draws notes on a canvas: time to the right, pitch upwards, velocity as shade; beneath them the marks and the pedal. A
// canvas is as wide as what is seen of the music, however long that is. Exposes `Roll`, and its parts for pages that draw
// otherwise.
const Roll = (() => {
  const TOP = 18; // room for the time scale
  const MARKS = 13; // heights of the bands
  const PEDAL = 11;
  const BLACK_KEYS = new Set([1, 3, 6, 8, 10]);
  const isBlackKey = (pitch) => BLACK_KEYS.has(((pitch % 12) + 12) % 12);

  // Lowest and highest pitch to be drawn of several pieces.
  function pitchRange(...pieces) {
    let low = 127;
    let high = 0;
    for (const note of pieces.flat()) {
      low = Math.min(low, note.pitch);
      high = Math.max(high, note.pitch);
    }
    if (low > high) [low, high] = [60, 60];
    // Two octaves at least, so that a few notes are not drawn as thick bars.
    const missing = Math.max(0, 24 - (high - low));
    return [Math.max(0, low - 2 - Math.floor(missing / 2)), Math.min(127, high + 2 + Math.ceil(missing / 2))];
  }

  function timeStep(pixelsPerSec) {
    return [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60].find((step) => step * pixelsPerSec >= 55) ?? 120;
  }

  const clock = (sec) => `${Math.floor(sec / 60)}:${String(Math.floor(sec % 60)).padStart(2, "0")}`;

  // A place on the time scale, with tenths where the scale has them.
  const clockAt = (sec, step) => (step < 1 ? `${clock(sec + 1e-6)}.${Math.floor((sec + 1e-6) * 10) % 10}` : clock(sec + 1e-6));

  function drawGround(pen, view, colors) {
    const { width, height, low, high, row, scale, left, right, seconds, x, y } = view;
    pen.fillStyle = colors.ground;
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = colors.blackKey;
    for (let pitch = low; pitch <= high; pitch++) {
      if (isBlackKey(pitch)) pen.fillRect(0, y(pitch), width, row);
    }
    pen.font = "10px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const step = timeStep(scale);
    for (let i = Math.ceil(left / step); i * step <= Math.min(right, seconds); i++) {
      pen.fillStyle = colors.line;
      pen.fillRect(Math.round(x(i * step)), TOP - 4, 1, height);
      pen.fillStyle = colors.text;
      if (i > 0 && i * step <= seconds - 0.3 * step) pen.fillText(clockAt(i * step, step), x(i * step) + 3, 8);
    }
    pen.fillStyle = colors.octave;
    for (let pitch = low; pitch <= high; pitch++) {
      if (pitch % 12 === 0) pen.fillRect(0, y(pitch) + row, width, 1);
    }
  }

  function drawPrompt(pen, music, view, colors) {
    const end = view.x(Math.min(music.promptSec, view.seconds));
    if (end < 0) return;
    pen.fillStyle = colors.promptGround;
    pen.fillRect(view.x(0), TOP, end - view.x(0), view.bottom - TOP);
    pen.strokeStyle = colors.prompt;
    pen.setLineDash([4, 3]);
    pen.beginPath();
    pen.moveTo(end, TOP - 4);
    pen.lineTo(end, view.bottom);
    pen.stroke();
    pen.setLineDash([]);
  }

  function drawNotes(pen, music, view, colors) {
    const { notes } = music;
    for (let i = music.firstFrom(view.left - music.longest); i < notes.length && notes[i].onset < view.right; i++) {
      const note = notes[i];
      const x = view.x(note.onset);
      const length = Math.max(2, note.duration * view.scale - 0.75);
      const thickness = Math.max(2, view.row - 0.5);
      pen.fillStyle = note.onset < music.promptSec ? colors.prompt : colors.note;
      pen.globalAlpha = 0.25 + (0.75 * note.velocity) / 127;
      pen.fillRect(x, view.y(note.pitch), length, thickness);
      if (note.held > 0) {
        pen.globalAlpha *= 0.35;
        pen.fillRect(x + length, view.y(note.pitch) + thickness / 2 - 0.5, note.held * view.scale, 1);
      }
    }
    pen.globalAlpha = 1;
  }

  // Hatched, with what they are called as far as there is room.
  function drawMarks(pen, music, view, colors) {
    const top = view.bottom + 1;
    for (const [start, end, label] of music.marks) {
      if (end < view.left || start > view.right) continue;
      const [from, length] = [view.x(start), Math.max(2, (end - start) * view.scale)];
      pen.save();
      pen.beginPath();
      pen.rect(from, top, length, MARKS - 2);
      pen.clip();
      pen.strokeStyle = colors.mark;
      pen.lineWidth = 1.5;
      const first = Math.max(from, -MARKS);
      for (let x = first - ((first - from) % 5) - MARKS; x < Math.min(from + length, view.width); x += 5) {
        pen.beginPath();
        pen.moveTo(x, top + MARKS);
        pen.lineTo(x + MARKS, top);
        pen.stroke();
      }
      const text = Math.max(from, 0) + 4;
      const room = pen.measureText(label).width + 6;
      if (room < from + length - text) {
        pen.fillStyle = colors.ground;
        pen.fillRect(text - 2, top, room, MARKS);
        pen.fillStyle = colors.text;
        pen.fillText(label, text + 1, top + MARKS / 2 - 0.5);
      }
      pen.restore();
      pen.fillStyle = colors.mark;
      pen.fillRect(from, TOP, 1, view.bottom - TOP);
      pen.fillRect(from + length - 1, TOP, 1, view.bottom - TOP);
    }
  }

  function drawPedal(pen, music, view, colors) {
    const top = view.height - PEDAL + 2;
    pen.fillStyle = colors.octave;
    pen.fillRect(0, view.height - PEDAL, view.width, 1);
    pen.fillStyle = colors.pedal;
    for (const [press, lift] of music.pedal) {
      if (lift < view.left) continue;
      if (press > view.right) break;
      pen.fillRect(view.x(press), top, Math.max(1.5, (lift - press) * view.scale - 1), PEDAL - 4);
    }
  }

  function drawLoop(pen, [from, to], view, colors) {
    pen.fillStyle = colors.loop;
    pen.globalAlpha = 0.16;
    pen.fillRect(view.x(from), 0, (to - from) * view.scale, view.height);
    pen.globalAlpha = 1;
    pen.fillRect(view.x(from), 0, 2, view.height);
    pen.fillRect(view.x(to) - 2, 0, 2, view.height);
  }

  // The C's, which stay at the left.
  function drawKeys(pen, view, colors) {
    for (let pitch = view.low; pitch <= view.high; pitch++) {
      if (pitch % 12) continue;
      pen.globalAlpha = 0.85;
      pen.fillStyle = colors.ground;
      pen.fillRect(1, view.y(pitch) + view.row / 2 - 6, 19, 12);
      pen.globalAlpha = 1;
      pen.fillStyle = colors.text;
      pen.fillText(`C${pitch / 12 - 1}`, 4, view.y(pitch) + view.row / 2);
    }
  }

  function prepare(canvas, width, height) {
    const ratio = Math.min(window.devicePixelRatio || 1, 16000 / width);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
    return pen;
  }

  function themeColors(element, more = []) {
    const style = getComputedStyle(element);
    const names = ["ground", "black-key", "line", "octave", "text", "note", "prompt", "prompt-ground", ...more];
    const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
    return Object.fromEntries(names.map((name) => [camel(name), style.getPropertyValue(`--roll-${name}`).trim()]));
  }

  // What `width` pixels hold from `left` seconds on. seen: { left, scale (pixels per second), seconds, range, loop }.
  function draw(canvas, music, seen, width, height) {
    const [low, high] = seen.range;
    const bottom = height - (music.marks.length ? MARKS : 0) - (music.pedal.length ? PEDAL : 0);
    const row = (bottom - TOP) / (high - low + 1);
    const view = { ...seen, width, height, low, high, row, bottom, right: seen.left + width / seen.scale };
    view.x = (sec) => (sec - view.left) * view.scale;
    view.y = (pitch) => TOP + (high - pitch) * row;
    const colors = themeColors(canvas, ["mark", "pedal", "loop"]);
    const pen = prepare(canvas, width, height);
    drawGround(pen, view, colors);
    if (music.promptSec > 0) drawPrompt(pen, music, view, colors);
    drawNotes(pen, music, view, colors);
    if (music.marks.length) drawMarks(pen, music, view, colors);
    if (music.pedal.length) drawPedal(pen, music, view, colors);
    if (seen.loop) drawLoop(pen, seen.loop, view, colors);
    drawKeys(pen, view, colors);
  }

  // Where the keys of a slider lead from `now`, by their names, in seconds.
  function seekTargets(event, now, begin, end) {
    const step = event.shiftKey ? 5 : 1;
    return {
      ArrowRight: now + step,
      ArrowUp: now + 1,
      ArrowLeft: now - step,
      ArrowDown: now - 1,
      PageUp: now + 10,
      PageDown: now - 10,
      Home: begin,
      End: end,
    };
  }

  return { draw, clock, prepare, themeColors, timeStep, pitchRange, isBlackKey, seekTargets };
})();
