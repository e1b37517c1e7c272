"use strict";
// Draws notes on a canvas: time to the right, pitch upwards, velocity as shade. Exposes `Roll`, and its parts for pages
// that draw otherwise.
const Roll = (() => {
  const PIXELS_PER_SEC = 26; // at least; a short sample is stretched to the width it has
  const MAX_PIXELS = 12000; // a canvas much wider is refused by some browsers
  const TOP = 18; // room for the time scale
  const BLACK_KEYS = new Set([1, 3, 6, 8, 10]);
  const isBlackKey = (pitch) => BLACK_KEYS.has(((pitch % 12) + 12) % 12);

  function width(available, seconds) {
    return Math.max(available, Math.min(MAX_PIXELS, Math.ceil(seconds * PIXELS_PER_SEC)));
  }

  function pitchRange(notes) {
    let low = 127;
    let high = 0;
    for (const note of notes) {
      low = Math.min(low, note.pitch);
      high = Math.max(high, note.pitch);
    }
    if (low > high) [low, high] = [60, 60];
    // Two octaves at least, so that a few notes are not drawn as thick bars.
    const missing = Math.max(0, 24 - (high - low));
    return [Math.max(0, low - 2 - Math.floor(missing / 2)), Math.min(127, high + 2 + Math.ceil(missing / 2))];
  }

  function timeStep(pixelsPerSec) {
    return [1, 2, 5, 10, 30, 60].find((step) => step * pixelsPerSec >= 55) ?? 120;
  }

  const clock = (sec) => `${Math.floor(sec / 60)}:${String(Math.floor(sec % 60)).padStart(2, "0")}`;

  function drawGround(draw, view, colors) {
    const { width, height, low, high, row, scale, seconds, y } = view;
    draw.fillStyle = colors.ground;
    draw.fillRect(0, 0, width, height);
    draw.fillStyle = colors.blackKey;
    for (let pitch = low; pitch <= high; pitch++) {
      if (isBlackKey(pitch)) draw.fillRect(0, y(pitch), width, row);
    }
    draw.font = "10px system-ui, sans-serif";
    draw.textBaseline = "middle";
    draw.fillStyle = colors.line;
    const step = timeStep(scale);
    for (let sec = 0; sec <= seconds; sec += step) draw.fillRect(Math.round(sec * scale), TOP - 4, 1, height);
    draw.fillStyle = colors.octave;
    for (let pitch = low; pitch <= high; pitch++) {
      if (pitch % 12 === 0) draw.fillRect(0, y(pitch) + row, width, 1);
    }
    draw.fillStyle = colors.text;
    for (let sec = step; sec <= seconds - 0.3 * step; sec += step) draw.fillText(clock(sec), sec * scale + 3, 8);
  }

  function drawPrompt(draw, view, colors) {
    const end = Math.min(view.promptSec, view.seconds) * view.scale;
    draw.fillStyle = colors.promptGround;
    draw.fillRect(0, TOP, end, view.height - TOP);
    draw.strokeStyle = colors.prompt;
    draw.setLineDash([4, 3]);
    draw.beginPath();
    draw.moveTo(end, TOP - 4);
    draw.lineTo(end, view.height);
    draw.stroke();
    draw.setLineDash([]);
  }

  function drawNotes(draw, view, notes, colors) {
    for (const note of notes) {
      const x = note.onset * view.scale;
      const length = Math.max(2, note.duration * view.scale - 0.75);
      draw.fillStyle = note.onset < view.promptSec ? colors.prompt : colors.note;
      draw.globalAlpha = 0.25 + (0.75 * note.velocity) / 127;
      draw.fillRect(x, view.y(note.pitch), length, Math.max(2, view.row - 0.5));
    }
    draw.globalAlpha = 1;
  }

  // The C's in a strip of their own, which stays when the roll scrolls.
  function drawKeys(canvas, view, colors) {
    const draw = prepare(canvas, 24, view.height);
    draw.clearRect(0, 0, 24, view.height);
    draw.font = "10px system-ui, sans-serif";
    draw.textBaseline = "middle";
    for (let pitch = view.low; pitch <= view.high; pitch++) {
      if (pitch % 12) continue;
      const name = `C${pitch / 12 - 1}`;
      draw.fillStyle = colors.ground;
      draw.fillRect(1, view.y(pitch) + view.row / 2 - 6, 19, 12);
      draw.fillStyle = colors.text;
      draw.fillText(name, 4, view.y(pitch) + view.row / 2);
    }
  }

  function prepare(canvas, width, height) {
    const ratio = Math.min(window.devicePixelRatio || 1, 16000 / width);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const draw = canvas.getContext("2d");
    draw.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
    return draw;
  }

  function themeColors(element, more = []) {
    const style = getComputedStyle(element);
    const names = ["ground", "black-key", "line", "octave", "text", "note", "prompt", "prompt-ground", ...more];
    const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
    return Object.fromEntries(names.map((name) => [camel(name), style.getPropertyValue(`--roll-${name}`).trim()]));
  }

  // Returns pixels per second of the drawing.
  function draw(canvas, keys, notes, seconds, promptSec, available, height) {
    const [low, high] = pitchRange(notes);
    const row = (height - TOP) / (high - low + 1);
    const drawn = width(available, seconds);
    const view = { width: drawn, height, low, high, row, seconds, promptSec, scale: drawn / Math.max(seconds, 0.001) };
    view.y = (pitch) => TOP + (high - pitch) * row;
    const colors = themeColors(canvas);
    const pen = prepare(canvas, drawn, height);
    drawGround(pen, view, colors);
    if (promptSec > 0) drawPrompt(pen, view, colors);
    drawNotes(pen, view, notes, colors);
    drawKeys(keys, view, colors);
    return view.scale;
  }

  return { draw, clock, prepare, themeColors, timeStep, pitchRange, isBlackKey };
})();
