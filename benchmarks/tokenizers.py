"""Notes a second of every tokenizer, beside MidiTok's in the same run, on real files.

    python -m benchmarks.tokenizers                 the files in ../shared/data
    python -m benchmarks.tokenizers FOLDER          the MIDI files below FOLDER
    python -m benchmarks.tokenizers --every 1       MidiTok on every file, not on one in ten

Ours encode and decode all files as one block of the lake: the best of three. MidiTok gets the same notes as scores of
symusic, made beforehand, with the same options, one file in so many. Ids of the files that it encodes are compared, one
for one. Seconds are those of the processor, of one core. Twelve transpositions are those of training music; where roots
of chords are told, they are encoded one by one.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import accepted_files, folder_to_read, load
from pianogen.augment import AugmentConfig
from pianogen.errors import PianogenError
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.midi.columns import NoteColumns, music_of_tables
from pianogen.reading import parse_file
from pianogen.shards.rows import augmented_rows
from pianogen.tokenizers.base import KNOWN, Tokenizer, make_tokenizer
from pianogen.tokenizers.miditok_scheme import MidiTokScheme, score_of

ALL = {"metres": True, "tempos": True, "pedal": True, "rests": True}
OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    ", chords": {"chords": True},
    ", programs": {"programs": True},
    ", metres, tempos, pedal, rests": ALL,
    ", all options": {**ALL, "chords": True, "chord_roots": True, "unknown_chords": True, "programs": True},
}
OURS: dict[str, dict[str, Any]] = {
    **{
        f"{name}{title}": {"name": name, **options}
        for name in ("remi", "tsd", "midi_like")
        for title, options in OPTIONS.items()
    },
    "craykh": {"name": "craykh"},
    "jsb": {"name": "jsb"},
    "continuous": {"name": "continuous"},
    "performance": {"name": "performance"},
    "note_chord": {"name": "note_chord", "vocab": "all"},
}


def read_files(folder: Path) -> list[NoteColumns]:
    found = []
    for path in accepted_files(folder)[0]:
        try:
            parsed = parse_file(path)
        except PianogenError:
            continue
        found.append(music_of_tables(parsed.tables, parsed.ticks_per_quarter))
    return found


def best_of_three(call: Callable[[], Any]) -> float:
    """Seconds of the fastest of three calls, after one that compiles."""
    call()
    took = []
    for _ in range(3):
        start = time.process_time()
        call()
        took.append(time.process_time() - start)
    return min(took)


def time_miditok(coder: Any, music: list[NoteColumns], every: int) -> tuple[float, float, int, int]:
    """Notes a second encoded and decoded, how many files were compared, and how many of them have other ids."""
    reference = MidiTokScheme(scheme=coder.in_miditok, config=coder.config.in_miditok).miditok
    num_notes = num_files = num_other = 0
    encoding = decoding = 0.0
    for columns in music[every // 2 :: every]:
        score = score_of(columns, parts=coder.reads_parts)
        start = time.process_time()
        try:
            sequences = reference.encode(score)
        except Exception:  # MidiTok raises what it likes
            num_other += 1
            continue
        middle = time.process_time()
        ids = (sequences[0] if isinstance(sequences, list) else sequences).ids if sequences else []
        begin = time.process_time()
        reference.decode(ids if reference.one_token_stream else [ids])
        decoding += time.process_time() - begin
        encoding += middle - start
        num_notes += len(columns)
        num_files += 1
        num_other += ids != coder.encode(columns).tolist()
    return num_notes / encoding, num_notes / decoding, num_files, num_other


def print_table(music: list[NoteColumns], block: MusicBlock, every: int, only: list[str] | None) -> None:
    num_notes = len(block.pitch)
    print(f"{len(music):,} files, {num_notes:,} notes\n")
    print(
        "| tokenizer | tokens a note | encoded, notes/s | decoded, notes/s | 12 transpositions / 1 "
        "| MidiTok: encoded | decoded | x MidiTok | decoded | files compared | other ids |"
    )
    print("|---|" + "---:|" * 10)
    for title, settings in OURS.items():
        if settings["name"] not in KNOWN or (only and title not in only):
            continue
        coder: Tokenizer = make_tokenizer(settings)
        tokens = coder.encode_block(block)
        encoded = num_notes / best_of_three(lambda coder=coder: coder.encode_block(block))
        decoded = num_notes / best_of_three(lambda coder=coder, tokens=tokens: coder.decode_block(tokens))
        one = best_of_three(lambda coder=coder: list(augmented_rows(coder, block)))
        twelve = best_of_three(lambda coder=coder: list(augmented_rows(coder, block, AugmentConfig())))
        cells = [
            f"{len(tokens.values) / num_notes:.2f}", f"{encoded:,.0f}", f"{decoded:,.0f}", f"{twelve / one:.2f}",
        ]  # fmt: skip
        if settings["name"] in ("remi", "tsd", "midi_like"):
            encoding, decoding, num_files, num_other = time_miditok(coder, music, every)
            cells += [f"{encoding:,.0f}", f"{decoding:,.0f}", f"{encoded / encoding:.0f}", f"{decoded / decoding:.0f}"]
            cells += [f"{num_files}", f"{num_other}"]
        else:
            cells += [""] * 6
        print(f"| {title} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--every", type=int, default=10, help="MidiTok on one file in this many")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="rows of the table (default: all)")
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "tokenizers")
    print(f"load before: {load()}\n")
    music = read_files(folder)
    np.random.default_rng(6).shuffle(music)  # pyright: ignore[reportArgumentType]
    print_table(music, music_block(music), args.every, args.only)
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    main()
