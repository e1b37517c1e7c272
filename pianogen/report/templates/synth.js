"use strict";
// A struck string in a few partials, rendered once per pitch and replayed with its own loudness and
// brightness for each note. Exposes `Synth`; knows nothing of the page.
const Synth = (() => {
  const SAMPLE_RATE = 32000;
  const MAX_SEC = 5;
  const RELEASE_SEC = 0.09; // time constant of the damper
  const LOUDEST = 0.5; // gain of a note at full force
  const OUTPUT_RATE = 44100; // of what is rendered without a loudspeaker
  const STEP_SEC = 1;
  const GRAIN = 320; // samples of a string whose energy is summed at once: a hundredth of a second
  const EVEN_LEVEL = 0.06; // root mean square before the compressor
  const MOST_GAIN = 6;
  const strings = new Map();
  const energies = new Map();

  const frequency = (pitch) => 440 * 2 ** ((pitch - 69) / 12);

  // Seconds until a string has lost 60 dB: about 12 at the lowest key, 0.7 at the highest.
  const decaySec = (pitch) => 12 * 2 ** (-(pitch - 21) / 21);

  // Adds one exponentially decaying sine, by the two-term recurrence y[n] = 2 r cos(w) y[n-1] - r^2 y[n-2].
  function addPartial(samples, hertz, amplitude, seconds) {
    const w = (2 * Math.PI * hertz) / SAMPLE_RATE;
    const r = 10 ** (-3 / (seconds * SAMPLE_RATE));
    const a = 2 * r * Math.cos(w);
    const b = r * r;
    let older = 0;
    let old = amplitude * Math.sin(w);
    for (let n = 1; n < samples.length; n++) {
      samples[n] += old;
      const next = a * old - b * older;
      older = old;
      old = next;
    }
  }

  // Knock of the hammer: noise that dies within a few hundredths of a second, the same in every browser.
  function addHammer(samples, pitch) {
    let seed = pitch + 1;
    let smooth = 0;
    const length = Math.min(samples.length, SAMPLE_RATE * 0.06);
    for (let n = 0; n < length; n++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      smooth += 0.15 * (seed / 2 ** 31 - 1 - smooth);
      samples[n] += 0.25 * smooth * Math.exp(-n / (SAMPLE_RATE * 0.012));
    }
  }

  function renderString(pitch) {
    const f0 = frequency(pitch);
    const t60 = decaySec(pitch);
    const samples = new Float32Array(Math.ceil(SAMPLE_RATE * Math.min(MAX_SEC, t60)));
    const stiffness = 0.00012 * 2 ** ((pitch - 48) / 16);
    for (let k = 1; k <= 14; k++) {
      const hertz = k * f0 * Math.sqrt(1 + stiffness * k * k);
      if (hertz > 0.42 * SAMPLE_RATE) break;
      // The hammer strikes near an eighth of the string, which weakens every eighth partial.
      const amplitude = (Math.abs(Math.sin((Math.PI * k) / 8.3)) / k) * Math.exp(-hertz / 4000);
      const seconds = t60 / (1 + 0.3 * (k - 1));
      // Two strings a hair apart: one speaks and is gone, the other sings on.
      addPartial(samples, hertz, 0.65 * amplitude, 0.45 * seconds);
      addPartial(samples, hertz * 1.0004, 0.35 * amplitude, seconds);
    }
    addHammer(samples, pitch);
    let peak = 0;
    for (const value of samples) peak = Math.max(peak, Math.abs(value));
    const attack = SAMPLE_RATE * 0.002;
    const fade = SAMPLE_RATE * 0.05;
    for (let n = 0; n < samples.length; n++) {
      samples[n] *= (Math.min(1, n / attack) * Math.min(1, (samples.length - n) / fade)) / peak;
    }
    const buffer = new AudioBuffer({ length: samples.length, numberOfChannels: 1, sampleRate: SAMPLE_RATE });
    buffer.copyToChannel(samples, 0);
    return buffer;
  }

  // The sound of a pitch; takes some milliseconds the first time.
  function string(pitch) {
    if (!strings.has(pitch)) strings.set(pitch, renderString(pitch));
    return strings.get(pitch);
  }

  const isReady = (pitch) => strings.has(pitch);

  // Starts a note at context time `when`, `skipSec` into its sound, for so many seconds; returns it, to be stopped early.
  function play(context, output, note, when, seconds, skipSec = 0) {
    const loudness = note.velocity / 127;
    const source = new AudioBufferSourceNode(context, { buffer: string(note.pitch) });
    const tone = new BiquadFilterNode(context, {
      type: "lowpass",
      frequency: Math.min(0.45 * context.sampleRate, 700 + frequency(note.pitch) * (1 + 7 * loudness)),
      Q: 0.3,
    });
    const gain = new GainNode(context, { gain: LOUDEST * loudness ** 1.5 });
    source.connect(tone).connect(gain).connect(output);
    const end = when + Math.max(0.03, seconds);
    gain.gain.setTargetAtTime(0, end, RELEASE_SEC);
    source.start(when, skipSec);
    source.stop(end + 7 * RELEASE_SEC);
    return { source, gain, end: end + 7 * RELEASE_SEC };
  }

  // How long a note sounds: until its key is up, or the pedal that holds it.
  const soundingSec = (note) => note.duration + (note.held ?? 0);

  // Energy of the first `seconds` of a string at full scale.
  function stringEnergy(pitch, seconds) {
    if (!energies.has(pitch)) {
      let sum = 0;
      const samples = string(pitch).getChannelData(0);
      energies.set(pitch, Float64Array.from({ length: Math.ceil(samples.length / GRAIN) }, (_, i) => {
        for (const value of samples.subarray(i * GRAIN, (i + 1) * GRAIN)) sum += value * value;
        return sum / SAMPLE_RATE;
      }));
    }
    const sums = energies.get(pitch);
    return sums[Math.min(sums.length - 1, Math.floor((seconds * SAMPLE_RATE) / GRAIN))];
  }

  // By how much notes, by onset, are to be amplified to be as loud as any others so amplified: their mean power while
  // something sounds becomes the same.
  function evenGain(notes) {
    let energy = 0;
    let sounding = 0;
    let end = 0;
    for (const note of notes) {
      const seconds = Math.min(MAX_SEC, soundingSec(note));
      energy += (LOUDEST * (note.velocity / 127) ** 1.5) ** 2 * stringEnergy(note.pitch, seconds);
      sounding += Math.max(0, note.onset + seconds - Math.max(end, note.onset));
      end = Math.max(end, note.onset + seconds);
    }
    if (!energy) return 1;
    return Math.min(MOST_GAIN, EVEN_LEVEL / Math.sqrt(energy / sounding));
  }

  function stop(context, voice) {
    // Two hundredths of a second instead of at once: a cut wave clicks.
    voice.gain.gain.cancelScheduledValues(context.currentTime);
    voice.gain.gain.setTargetAtTime(0, context.currentTime, 0.02);
    voice.source.stop(context.currentTime + 0.15);
  }

  // Where notes go in. A compressor holds chords down; a curve that ends at 0.95 makes clipping impossible.
  function master(context) {
    const input = new DynamicsCompressorNode(context, {
      threshold: -16,
      knee: 10,
      ratio: 6,
      attack: 0.003,
      release: 0.25,
    });
    const halve = new GainNode(context, { gain: 0.5 });
    const curve = new Float32Array(2049);
    for (let i = 0; i < curve.length; i++) curve[i] = (0.95 * Math.tanh(i / 512 - 2)) / Math.tanh(2);
    const limiter = new WaveShaperNode(context, { curve });
    const volume = new GainNode(context, { gain: 1 });
    input.connect(halve).connect(limiter).connect(volume).connect(context.destination);
    return { input, volume };
  }

  // The same notes, by onset, through the same nodes, faster than real time; resolves to an AudioBuffer. Notes are handed
  // over step by step: all of them at once would be so many nodes that each step of the sound waits for them.
  function renderOffline(notes, seconds, { rate = 1, gain = 1, onProgress = () => {} } = {}) {
    const context = new OfflineAudioContext(1, Math.ceil(seconds * OUTPUT_RATE), OUTPUT_RATE);
    const output = new GainNode(context, { gain });
    output.connect(master(context).input);
    let next = 0;
    const handOver = (until) => {
      for (; next < notes.length && notes[next].onset / rate < until; next++) {
        play(context, output, notes[next], notes[next].onset / rate, soundingSec(notes[next]) / rate);
      }
    };
    handOver(2 * STEP_SEC);
    for (let sec = STEP_SEC; sec < seconds; sec += STEP_SEC) {
      context.suspend(sec).then(() => {
        handOver(sec + 2 * STEP_SEC);
        onProgress(sec / seconds);
        context.resume();
      });
    }
    return context.startRendering();
  }

  return { string, isReady, play, stop, soundingSec, evenGain, master, renderOffline };
})();
