"""How often the estimated key and `is_on_grid` are right, where the truth is known.

    python -m benchmarks.keys_and_grids             maestro, asap, giantmidi and pop909 below ../shared/data
    python -m benchmarks.keys_and_grids FOLDER      those that lie below FOLDER

Keys are compared with those that MAESTRO's titles name (`... in C-sharp Minor`, one key each), that the pieces of the
Well-Tempered Clavier in ASAP have by their number, and that the key signatures of ASAP's scores and of music21's
Bach chorales leave open: the tonic of the major key or of its relative minor. The score of MIREX's key task gives 1
for the key, 0.5 for one a fifth away, 0.3 for the relative and 0.2 for the parallel one. music21's own estimate
(Krumhansl and Kessler's profiles, by quarters) of the chorales stands beside ours: where their tempo is constant the
two must agree.

Whether onsets lie on a grid is compared with ASAP's metadata (score or performance), with MAESTRO, all of it played,
and with GiantMIDI's pairs: transcribed from audio, or sequenced.
"""

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.corpus import folder_to_read
from pianogen.catalogue import STARTER, Dataset, find_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import Settings, load_settings
from pianogen.statistics.build import build_statistics

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
KEY_IN_TITLE = re.compile(r"\bin ([A-G])[ -]?(flat|sharp|b|#)? (maj|min)", re.IGNORECASE)
WELL_TEMPERED = re.compile(r"bwv_(8[4-9]\d)\b")
Row = dict[str, Any]


class Key(NamedTuple):
    """Semitones above C, and whether it is a minor key."""

    tonic: int
    is_minor: bool


def key_of(row: Row) -> Key | None:
    return None if row["key"] is None else Key(row["key_tonic"], row["key_mode"] == "minor")


def key_in_title(title: str | None) -> Key | None:
    """The one key that a title names."""
    named = {
        Key(
            (LETTERS[letter.upper()] + {"": 0, "flat": -1, "b": -1, "sharp": 1, "#": 1}[accidental.lower()]) % 12,
            mode.lower() == "min",
        )
        for letter, accidental, mode in KEY_IN_TITLE.findall(title or "")
    }
    return named.pop() if len(named) == 1 else None


def key_of_well_tempered(path: str) -> Key | None:
    """From C major to B minor, by semitones, twice."""
    found = WELL_TEMPERED.search(path)
    number = int(found[1]) - 846 if found else -1
    return Key(number % 24 // 2, number % 2 == 1) if 0 <= number < 48 else None


def tonics_of_signature(name: str) -> tuple[Key, Key]:
    """The major key of a signature and its relative minor."""
    tonic, mode = name.split()
    number = (LETTERS[tonic[0]] + tonic.count("#") - tonic[1:].count("b")) % 12
    major = number if mode == "major" else (number + 3) % 12
    return Key(major, False), Key((major + 9) % 12, True)


def relation(found: Key, true: Key) -> str:
    """As MIREX has them."""
    if found == true:
        return "the key"
    steps = (found.tonic - true.tonic) % 12
    if found.is_minor == true.is_minor:
        return "a fifth away" if steps in (5, 7) else "another"
    if steps == 0:
        return "the parallel one"
    return "the relative one" if steps == (3 if true.is_minor else 9) else "another"


MIREX = {"the key": 1.0, "a fifth away": 0.5, "the relative one": 0.3, "the parallel one": 0.2, "another": 0.0}


def measured(lake: Lake, dataset: Dataset, settings: Settings) -> list[Row]:
    """Rows of statistics with what the dataset's metadata say of each file."""
    ingest_dataset(lake, dataset, settings)
    build_statistics(lake, dataset.name, settings)
    query = """
        select statistics.*, sources.path, sources.title, sources.kind
        from performance_statistics as statistics
        inner join files using (performance_id, dataset) inner join sources using (dataset, path)
        where statistics.dataset = ? order by path
    """
    with lake.connect(["performance_statistics", "files", "sources"]) as connection:
        found = connection.execute(query, [dataset.name])
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def print_keys(name: str, pairs: Sequence[tuple[Key, Key]]) -> None:
    if not pairs:
        return
    counts = Counter(relation(found, true) for found, true in pairs)
    mirex = sum(MIREX[one] * num for one, num in counts.items()) / len(pairs)
    cells = (f"{counts[one]} ({counts[one] / len(pairs):.1%})" for one in MIREX)
    print(f"| {name} | {len(pairs)} | {' | '.join(cells)} | {mirex:.3f} |")


def print_signatures(name: str, rows: Sequence[Row]) -> None:
    known = [(key_of(row), tonics_of_signature(row["key_signature"])) for row in rows if row["key_signature"]]
    if known:
        num = sum(found in either for found, either in known)
        print(
            f"{name}: the key is one of the two of the key signature in {num} of {len(known)} ({num / len(known):.1%})"
        )


def print_music21(lake: Lake, rows: Sequence[Row], every: int) -> None:
    """Our keys of chorales beside music21's estimates of the same notes."""
    import music21
    from music21.analysis.discrete import KrumhanslKessler

    columns = ["performance_id", "pitch", "onset_tick", "duration_tick"]
    notes = lake.read("notes", columns).to_pandas().groupby("performance_id")
    same = close = num = 0
    for row in rows[::every]:
        if row["num_tempos"] != 1:
            continue
        stream = music21.stream.Stream()
        for pitch, onset, duration in notes.get_group(row["performance_id"])[columns[1:]].itertuples(index=False):
            stream.insert(int(onset) / 480, music21.note.Note(int(pitch), quarterLength=int(duration) / 480))
        key = KrumhanslKessler(stream).getSolution(stream)
        num += 1
        same += key_of(row) == Key(key.tonic.pitchClass, key.mode == "minor")
        close += abs(key.correlationCoefficient - row["key_correlation"]) < 1e-6
    print(f"music21, {num} chorales: the same key {same}, correlations equal to 1e-6 {close}")


def print_grid(name: str, rows: Sequence[Row]) -> None:
    if rows:
        distances = sorted(row["grid_distance"] for row in rows)
        on_grid = sum(row["is_on_grid"] for row in rows)
        middle = distances[len(distances) // 2]
        print(
            f"| {name} | {len(rows)} | {on_grid} | {len(rows) - on_grid} "
            f"| {distances[0]:.3f} | {middle:.3f} | {distances[-1]:.3f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="with maestro, asap, … (default: ../shared/data)")
    parser.add_argument("--every", type=int, default=4, help="one of music21's chorales in so many")
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "keys_and_grids", what="maestro, asap, …")
    settings = replace(load_settings(), workers=2)
    with tempfile.TemporaryDirectory(prefix="benchmark-keys-") as name:
        lake = Lake(Path(name))
        rows: dict[str, list[Row]] = {}
        for dataset, entry in (("maestro", "maestro_v3"), ("asap", "asap"), ("giantmidi", None), ("pop909", None)):
            place = (folder / dataset).absolute()
            described = find_dataset(settings, entry) if entry else Dataset(name=dataset, title=dataset, folder=place)
            found = place.is_dir()
            rows[dataset] = measured(lake, replace(described, folder=place), settings) if found else []
        bach = find_dataset(settings, STARTER)
        rows[STARTER] = measured(lake, bach, settings)

        print("| truth | files | " + " | ".join(MIREX) + " | MIREX |\n|---|---:|" + "---:|" * (len(MIREX) + 1))
        known = [(key_of(row), key_in_title(row["title"])) for row in rows["maestro"]]
        print_keys("MAESTRO's titles", [(ours, true) for ours, true in known if ours and true])
        scores = [row for row in rows["asap"] if row["kind"] == "score"]
        played = [row for row in rows["asap"] if row["kind"] == "performance"]
        for words, some in (("scores", scores), ("performances", played)):
            known = [(key_of(row), key_of_well_tempered(row["path"])) for row in some]
            print_keys(
                f"Well-Tempered Clavier, ASAP's {words}", [(ours, true) for ours, true in known if ours and true]
            )
        print()
        print_signatures("ASAP's scores", scores)
        print_signatures("music21's Bach", rows[STARTER])
        print_music21(lake, rows[STARTER], args.every)

        print("\n| | files | on the grid | not | distance from | median | to |\n|---|---:|---:|---:|---:|---:|---:|")
        print_grid("MAESTRO, played", rows["maestro"])
        print_grid("ASAP's performances", played)
        print_grid("GiantMIDI, transcribed", [row for row in rows["giantmidi"] if "ground_truth" not in row["path"]])
        print_grid("ASAP's scores", scores)
        print_grid("music21's Bach, scores", rows[STARTER])
        print_grid("GiantMIDI's ground truth, sequenced", [r for r in rows["giantmidi"] if "ground_truth" in r["path"]])
        print_grid("POP909, one tempo each", rows["pop909"])


if __name__ == "__main__":
    main()
