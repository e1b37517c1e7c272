"""What the matrix of edits found, as tables in Markdown, as a picture and as a CSV."""

import csv
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.edit_files import Base, EditedFile
from benchmarks.edits import WHOLE, Edit

if TYPE_CHECKING:
    from benchmarks.edit_matrix import Findings, WrongPair

MELODY = "shared_melody"
LISTED = 50
GOOD = 0.99
STEPS = ((GOOD, "#a6cee3"), (0.95, "#fff3b0"), (0.9, "#fdc97a"), (0.0, "#ee8a72"))
"""Blue where the aim is reached, yellow to red where it is missed; told apart by every eye, and by brightness."""
NO_FILE = "#eeeeee"


@dataclass(frozen=True)
class Cell:
    """One edit of one dataset's bases."""

    found: int
    num_files: int

    @property
    def share(self) -> float:
        """Of the files, those found."""
        return self.found / self.num_files


def is_found(found: "Findings", file: EditedFile) -> bool:
    """Whether the file makes a pair with its base that means more than a melody in common."""
    pair = found.with_base.get((file.edit, file.base))
    return pair is not None and pair["relation"] != MELODY


def cells(found: "Findings") -> dict[tuple[str, str], Cell]:
    """By edit and dataset; none where the edit fits no base."""
    files, hits = Counter(), Counter()
    for file in found.files:
        place = file.edit, found.bases[file.base].dataset
        files[place] += 1
        hits[place] += is_found(found, file)
    return {place: Cell(hits[place], files[place]) for place in files}


def print_report(found: "Findings", edits: Sequence[Edit]) -> None:
    """Print every table."""
    sizes, table = Counter(base.dataset for base in found.bases), cells(found)
    print("Share of files found (with their number, where an edit does not fit every base); bold: below 0.99,")
    print("or above 0.01 where nothing may be found\n")
    _row("edit", *(f"{dataset} ({num})" for dataset, num in sizes.items()))
    _row(*["---"] * (len(sizes) + 1))
    for edit in sorted(edits, key=lambda edit: not edit.relations):
        row = [_cell(table.get((edit.name, dataset)), num, edit) for dataset, num in sizes.items()]
        _row(edit.name if edit.relations else f"NOT to be found: {edit.name}", *row)
    _print_names(found, edits)
    _print_totals(found)
    _print_wrong(found)
    print("\n" + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in found.seconds.items()))


def _row(*values: object) -> None:
    print(f"| {' | '.join(map(str, values))} |")


def _cell(cell: Cell | None, num_bases: int, edit: Edit) -> str:
    if cell is None:
        return "–"
    share = f"{cell.share:.3f}" if _right_share(cell, edit) >= GOOD else f"**{cell.share:.3f}**"
    return share + (f" ({cell.num_files})" if cell.num_files < num_bases else "")


def _right_share(cell: Cell, edit: Edit) -> float:
    return cell.share if edit.relations else 1 - cell.share


def _print_names(found: "Findings", edits: Sequence[Edit]) -> None:
    print(
        "\nPairs of edited file and base: relations and numbers. Where edited_copy is right, same_notes and same_bytes"
    )
    print("are too; so is edited_copy for an excerpt of more than four fifths.\n")
    _row("edit", "right", "named right", "named", "semitones wrong", "tempo ratio off by: median", "most")
    _row(*["---"] * 7)
    for edit in edits:
        made = [file for file in found.files if file.edit == edit.name]
        named = Counter(found.with_base.get((file.edit, file.base), {}).get("relation", "nothing") for file in made)
        files = [file for file in made if is_found(found, file)]
        right = sum(is_named_right(found, file) for file in files)
        wrong = sum(not has_right_pitch(found, file) for file in files)
        off = [error for file in files if (error := tempo_error(found, file)) is not None]
        _row(
            edit.name,
            "edited_copy" if edit.relations == WHOLE else " or ".join(sorted(edit.relations)) or "nothing",
            f"{right / len(files):.3f}" if files and edit.relations else "–",
            ", ".join(f"{relation} {count}" for relation, count in named.most_common()),
            wrong if edit.relations and any(file.semitones for file in files) else "–",
            *((f"{statistics.median(off):.2%}", f"{max(off):.2%}") if off and edit.relations else ("–", "–")),
        )


def is_named_right(found: "Findings", file: EditedFile) -> bool:
    return found.with_base[file.edit, file.base]["relation"] in file.relations


def has_right_pitch(found: "Findings", file: EditedFile) -> bool:
    """Whether the pair has the transposition, or the mirror image, of the edit."""
    pair = found.with_base[file.edit, file.base]
    if not file.semitones:
        return True
    return pair["semitones"] in file.semitones and bool(pair.get("is_mirrored")) == file.is_mirrored


def tempo_error(found: "Findings", file: EditedFile) -> float | None:
    """How far the pair's tempo ratio is from the edit's, as a share of it; None where one of them is not known."""
    ratio = found.with_base[file.edit, file.base]["tempo_ratio"]
    return None if ratio is None or file.tempo_ratio is None else abs(ratio / file.tempo_ratio - 1)


def _print_totals(found: "Findings") -> None:
    true = [file for file in found.files if file.relations]
    hit = [file for file in true if is_found(found, file)]
    right = sum(is_named_right(found, file) for file in hit)
    table = cells(found)
    places = {(file.edit, found.bases[file.base].dataset) for file in true}
    low = sum(table[place].share < GOOD for place in places)
    melodies = sum(found.with_base.get((f.edit, f.base), {}).get("relation") == MELODY for f in true)
    print(f"\n{len(true):,} edited files, {len(hit):,} found: {len(hit) / max(len(true), 1):.4f}; ", end="")
    print(f"{low} of {len(places)} cells below {GOOD}; {right / max(len(hit), 1):.4f} of those found named right.")
    print(
        f"Of the others {melodies} make a pair of {MELODY} with their base, {len(found.rejected)} the ingest rejected."
    )


def _print_wrong(found: "Findings") -> None:
    meant = [pair for pair in found.wrong if pair.relation != MELODY]
    between_originals = {
        frozenset(works) for pair in meant if _is_of_originals(pair) for works in _pairs_of_works(pair)
    }
    by_chance = [pair for pair in meant if between_originals.isdisjoint(_pairs_of_works(pair))]
    print(f"\nPairs without a base or a known work in common: {len(by_chance):,} of {found.num_unrelated:,} ", end="")
    print(f"({len(by_chance) / max(found.num_unrelated, 1) * 1e5:.2f} in 100,000);")
    print(f"besides, {len(meant) - len(by_chance):,} of works whose originals, unedited, are a pair: ", end="")
    print(f"{len(between_originals):,} pairs of works; and {len(found.wrong) - len(meant):,} of {MELODY}.")
    for pair in meant:
        if _is_of_originals(pair):
            print(f"- originals are a pair: {_line(found, pair)}")
    for pair, count in _grouped(by_chance)[:LISTED]:
        print(f"- {count} pairs of files like {_line(found, pair)}")


def _is_of_originals(pair: "WrongPair") -> bool:
    return not isinstance(pair.a, EditedFile) and not isinstance(pair.b, EditedFile)


def _pairs_of_works(pair: "WrongPair") -> set[frozenset[str]]:
    return {frozenset((a, b)) for a in pair.works[0] for b in pair.works[1]}


def _grouped(pairs: Sequence["WrongPair"]) -> list[tuple["WrongPair", int]]:
    """The pair of the highest score for each pair of bases, and how many there are; the most frequent first."""
    groups: dict[frozenset[int], list[WrongPair]] = {}
    for pair in pairs:
        groups.setdefault(frozenset(_base_of(item) for item in (pair.a, pair.b)), []).append(pair)
    best = [(max(group, key=lambda pair: pair.score), len(group)) for group in groups.values()]
    return sorted(best, key=lambda item: -item[1])


def _base_of(item: EditedFile | Base) -> int:
    return item.base if isinstance(item, EditedFile) else item.number


def _line(found: "Findings", pair: "WrongPair") -> str:
    return f"{_named(found, pair.a)} = {_named(found, pair.b)}, {pair.relation}, score {pair.score:.3f}"


def _named(found: "Findings", item: EditedFile | Base) -> str:
    if not isinstance(item, EditedFile):
        return item.name
    second = f" {found.bases[item.other].name}" if item.other is not None else ""
    return f"{found.bases[item.base].name} ({item.edit}{second})"


def save_misses(found: "Findings", path: Path) -> None:
    """A row for each edited file that was missed, misnamed, given a wrong transposition or found though it must not
    be, and for each wrong pair."""
    names = [
        "what",
        "edit",
        "dataset",
        "base",
        "file",
        "base_notes",
        "file_notes",
        "right",
        "relation",
        "score",
        "coverage",
    ]
    names += ["residual_sec", "num_shared", "num_anchors", "semitones", "is_mirrored", "tempo_ratio"]
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, names, extrasaction="ignore")
        writer.writeheader()
        for file in found.files:
            if what := _what_went_wrong(found, file):
                base = found.bases[file.base]
                pair = found.with_base.get((file.edit, file.base), {})
                facts = {"what": what, "edit": file.edit, "dataset": base.dataset, "base": base.name}
                facts |= {"file": file.path, "right": " or ".join(sorted(file.relations))}
                facts |= {"base_notes": len(base.notes), "file_notes": found.num_notes.get((file.edit, file.base))}
                writer.writerow({**pair, **facts})
        for pair in found.wrong:
            facts = {"base": _named(found, pair.a), "file": _named(found, pair.b)}
            writer.writerow({"what": "unrelated", **facts, "relation": pair.relation, "score": pair.score})


def _what_went_wrong(found: "Findings", file: EditedFile) -> str:
    if (file.edit, file.base) in found.rejected:
        return "rejected"
    if not file.relations:
        return "found" if is_found(found, file) else ""
    if not is_found(found, file):
        return "missed"
    if not is_named_right(found, file):
        return "misnamed"
    return "" if has_right_pitch(found, file) else "semitones"


def save_heat_map(found: "Findings", edits: Sequence[Edit], path: Path) -> None:
    """A picture: a row for each edit, a column for each dataset; what must not be found stands apart below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    sizes, table = Counter(base.dataset for base in found.bases), cells(found)
    edits = sorted(edits, key=lambda edit: not edit.relations)
    rows = [y + (0 if edit.relations else 0.6) for y, edit in enumerate(edits)]
    figure = Figure(figsize=(4.4 + 1.15 * len(sizes), 2.0 + 0.27 * len(edits)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for y, edit in zip(rows, edits, strict=True):
        for x, (dataset, num) in enumerate(sizes.items()):
            cell = table.get((edit.name, dataset))
            colour = NO_FILE if cell is None else _colour(_right_share(cell, edit))
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
            text = "–" if cell is None else f"{cell.share:.0f}" if cell.share in (0, 1) else f"{cell.share:.3f}"
            axes.text(x, y, text, ha="center", va="center", fontsize=9, color="#222222")
            if cell is not None and cell.num_files < num:
                note = f"of {cell.num_files}"
                axes.text(x + 0.45, y, note, ha="right", va="center", fontsize=6.5, color="#444444")
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_ylim(rows[-1] + 0.5, -0.5)
    axes.set_xticks(range(len(sizes)), [f"{dataset}\n{num} pieces" for dataset, num in sizes.items()], fontsize=9)
    names = [edit.name if edit.relations else f"not to be found: {edit.name}" for edit in edits]
    axes.set_yticks(rows, names, fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title("Share of edited files that are found as a copy or excerpt of their source", fontsize=11, pad=12)
    legend = [Patch(color=colour, label=f"right in {least:.0%} or more") for least, colour in STEPS[:-1]]
    legend += [Patch(color=STEPS[-1][1], label="in fewer"), Patch(color=NO_FILE, label="fits no piece")]
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), fontsize=8, frameon=False)
    figure.savefig(path, dpi=150)


def _colour(right: float) -> str:
    return next(colour for least, colour in STEPS if right >= least)
