"use strict";
// Music as a WAV file: 16-bit PCM, one channel. Exposes `Wav`.
const Wav = (() => {
  const HEADER = 44;
  const TAIL_SEC = 1; // the last note fades

  // The file of an AudioBuffer of one channel.
  function encode(buffer) {
    const samples = buffer.getChannelData(0);
    const bytes = new ArrayBuffer(HEADER + 2 * samples.length);
    const view = new DataView(bytes);
    const word = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
    word(0, "RIFF");
    view.setUint32(4, bytes.byteLength - 8, true);
    word(8, "WAVEfmt ");
    view.setUint32(16, 16, true); // size of what follows, up to the data
    view.setUint16(20, 1, true); // PCM
    view.setUint16(22, 1, true); // channels
    view.setUint32(24, buffer.sampleRate, true);
    view.setUint32(28, 2 * buffer.sampleRate, true); // bytes a second
    view.setUint16(32, 2, true); // bytes a sample
    view.setUint16(34, 16, true); // bits a sample
    word(36, "data");
    view.setUint32(40, 2 * samples.length, true);
    for (let i = 0; i < samples.length; i++) {
      view.setInt16(HEADER + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, samples[i]))), true);
    }
    return new Blob([bytes], { type: "audio/wav" });
  }

  // A whole performance, as it sounds at a tempo.
  async function of(music, rate, onProgress) {
    const seconds = music.seconds / rate + TAIL_SEC;
    return encode(await Synth.renderOffline(music.notes, seconds, { rate, gain: music.gain, onProgress }));
  }

  // Hands a file to the reader.
  function save(blob, name) {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  return { of, save };
})();
