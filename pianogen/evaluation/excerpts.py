"""The music that is judged: what a model drew of each sample, and as much of held-out performances, the base line.

Of a sample the prompt is left out, whoever wrote it. An excerpt of a held-out performance begins where its id says,
and has as many notes as the median of the samples' parts: measures of repetition depend on how many notes they see.
Notes are without drums, ordered by onset, then pitch; times count from the beginning of the file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pianogen.errors import LakeError, RejectedFileError
from pianogen.lake import Lake, digest
from pianogen.midi.columns import NoteColumns
from pianogen.midi.parsed import ParsedFile
from pianogen.reading import parse_bytes
from pianogen.statistics.measures import READS
from pianogen.tables import SCHEMAS
from pianogen.tokenizers.base import Tokenizer

SAMPLE, HELD_OUT, FILE = "sample", "test", "file"
"""Sources of an excerpt: drawn by the model, of the test split, or somebody's file."""
DEFAULT_NOTES = 256
"""Of an excerpt where there is no sample to compare with."""
QUARTERS_PER_BAR = 4
TICKS_PER_SEC = 960
"""At 480 ticks per quarter and 120 quarters a minute, which goes without saying."""


class Notes(NamedTuple):
    """Notes as columns, shape (num_notes,) each."""

    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    duration_tick: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray

    def take(self, rows: Any) -> "Notes":
        """The notes of these rows: indices, a mask or a slice."""
        return Notes(*(column[rows] for column in self))


@dataclass(frozen=True, eq=False, kw_only=True)
class Excerpt:
    """A stretch of music, and where it comes from."""

    source: str
    """`SAMPLE`, `HELD_OUT` or `FILE`."""
    name: str
    """Of the sample or of the file; of a held-out performance its id."""
    title: str
    performance_id: str | None
    """The prompt's, or the held-out performance."""
    notes: Notes
    ticks_per_quarter: int = 480
    rejection: str | None = None
    """Why the ingest would not take it; it has no notes then."""

    @property
    def start_sec(self) -> float | None:
        """First onset; None without notes."""
        return float(self.notes.onset_sec[0]) if len(self.notes.pitch) else None

    @property
    def duration_sec(self) -> float:
        """First onset to last note-off; 0 without notes."""
        notes = self.notes
        return float(notes.offset_sec.max() - notes.onset_sec[0]) if len(notes.pitch) else 0.0


def no_notes() -> Notes:
    """None at all."""
    whole = np.empty(0, np.int64)
    return Notes(whole, whole, whole, whole, np.empty(0), np.empty(0))


def notes_of(table: pa.Table) -> Notes:
    """Columns from rows of the lake's `notes`, drums left out."""
    pitched = table.filter(pc.invert(table["is_drum"]))  # pyright: ignore[reportAttributeAccessIssue]
    columns = [pitched[name].to_numpy() for name in Notes._fields]
    kinds = (np.int64,) * 4 + (np.float64,) * 2
    notes = Notes(*(column.astype(kind) for column, kind in zip(columns, kinds, strict=True)))
    return notes.take(np.lexsort((notes.pitch, notes.onset_sec)))


def drawn_part(sample: Mapping[str, Any]) -> Excerpt:
    """What a model drew, read as the ingest reads files.

    Args:
        sample: a row of the lake's `samples`.
    """
    about = {
        "source": SAMPLE,
        "name": sample["sample"],
        "title": sample["title"] or "",
        "performance_id": sample["prompt_performance_id"],
    }
    try:
        parsed = parse_bytes(sample["midi"], f"{sample['sample']}.mid")
    except RejectedFileError as error:
        # A piece without notes is one that can be judged: there is nothing in it.
        rejection = None if error.reason == "no_notes" else error.reason
        return Excerpt(**about, notes=no_notes(), rejection=rejection)
    return Excerpt(**about, **_columns(parsed, sample["prompt_sec"] or 0.0))


def whole_file(parsed: ParsedFile, name: str) -> Excerpt:
    """All of somebody's file."""
    return Excerpt(source=FILE, name=name, title=parsed.title or "", performance_id=None, **_columns(parsed, 0.0))


def _columns(parsed: ParsedFile, from_sec: float) -> dict[str, Any]:
    notes = notes_of(parsed.notes)
    # The prompt's end is a tick, and its seconds were rounded on the way through the file's tempo.
    is_drawn = notes.onset_sec >= from_sec - 1e-3
    return {"notes": notes.take(is_drawn), "ticks_per_quarter": parsed.ticks_per_quarter}


def median_notes(excerpts: Iterable[Excerpt]) -> int:
    """The median number of notes of those that have any; `DEFAULT_NOTES` where none has."""
    sizes = [len(excerpt.notes.pitch) for excerpt in excerpts if len(excerpt.notes.pitch)]
    return int(np.median(sizes)) if sizes else DEFAULT_NOTES


def held_out_excerpts(lake: Lake, performance_ids: Iterable[str], num_notes: int) -> list[Excerpt]:
    """An excerpt of each performance, in the order of their ids.

    Args:
        lake: with their notes.
        performance_ids: of held-out performances.
        num_notes: of an excerpt; shorter performances are taken whole.

    Raises:
        LakeError: a performance is no longer in the lake.
    """
    wanted = sorted(set(performance_ids))
    found: dict[str, Excerpt] = {}
    for manifest in lake.manifests("ingest"):
        for block in manifest.blocks:
            found |= _excerpts_of_block(lake, block, set(wanted), num_notes)
    if missing := [name for name in wanted if name not in found]:
        raise LakeError(
            f"{lake.root}: {len(missing)} performances of the test split are no longer there (the first: "
            f"{missing[0]}); build the shards again and train again"
        )
    return [found[name] for name in wanted]


def _excerpts_of_block(lake: Lake, block: str, wanted: set[str], num_notes: int) -> dict[str, Excerpt]:
    facts = lake.read_block("ingest", block, "performances", ["performance_id", "ticks_per_quarter", "title"])
    chosen = [row for row in facts.to_pylist() if row["performance_id"] in wanted]
    if not chosen:
        return {}
    table = lake.read_block("ingest", block, "notes", ["performance_id", *Notes._fields, "is_drum"])
    table = table.filter(pc.is_in(table["performance_id"].cast(pa.string()), pa.array(sorted(wanted))))  # pyright: ignore
    found = {}
    for row in chosen:
        name = row["performance_id"]
        notes = notes_of(table.filter(pc.equal(table["performance_id"].cast(pa.string()), name)))  # pyright: ignore
        first = int(digest("excerpt", name)[:8], 16) % max(1, len(notes.pitch) - num_notes + 1)
        found[name] = Excerpt(
            source=HELD_OUT,
            name=name,
            title=row["title"] or "",
            performance_id=name,
            notes=notes.take(slice(first, first + num_notes)),
            ticks_per_quarter=row["ticks_per_quarter"],
        )
    return found


def tokens_of(excerpt: Excerpt, tokenizer: Tokenizer | None) -> np.ndarray | None:
    """Ids of an excerpt without BOS and EOS; None where there is no tokenizer, or one whose tokens are no ids."""
    if tokenizer is None or tokenizer.width > 1:
        return None
    notes, quarter = excerpt.notes, excerpt.ticks_per_quarter
    onset, duration = _from_first_bar(excerpt), notes.duration_tick
    if tokenizer.clock == "seconds":
        # Whatever tempos the file has: seconds at the tempo that goes without saying.
        since = notes.onset_sec - (notes.onset_sec[0] if len(notes.pitch) else 0.0)
        onset, quarter = np.rint(since * TICKS_PER_SEC), TICKS_PER_SEC // 2
        duration = np.rint((notes.offset_sec - notes.onset_sec) * TICKS_PER_SEC)
    columns = NoteColumns(
        pitch=notes.pitch.astype(np.uint8),
        velocity=notes.velocity.astype(np.uint8),
        onset_tick=onset.astype(np.int32),
        duration_tick=duration.astype(np.int32),
        ticks_per_quarter=quarter,
    )
    return tokenizer.encode(columns.sorted())


def measured_tables(excerpts: Sequence[Excerpt]) -> dict[str, pa.Table]:
    """Tables of excerpts that have notes, as of a block of an ingest, for `statistics.measures.measure`.

    Each begins in the bar of its first note, and is named by its place; pedals, tempos and signatures are left out.
    """
    facts, notes = [], []
    for k, excerpt in enumerate(excerpts):
        if not len(excerpt.notes.pitch):
            continue
        columns, onset = excerpt.notes, _from_first_bar(excerpt)
        order = np.lexsort((columns.pitch, onset))
        columns, onset, num = columns.take(order), onset[order], len(order)
        start_sec = columns.onset_sec.min()
        end_tick = int((onset + columns.duration_tick).max())
        facts.append(
            {
                "performance_id": str(k),
                "dataset": excerpt.source,
                "ticks_per_quarter": excerpt.ticks_per_quarter,
                "num_notes": num,
                "num_drum_notes": 0,
                "duration_sec": float(columns.offset_sec.max() - start_sec),
                "duration_quarters": end_tick / excerpt.ticks_per_quarter,
            }
        )
        nothing = np.zeros(num, np.int16)
        given = {
            "performance_id": pa.array([str(k)] * num),
            "track": nothing,
            "program": nothing,
            "is_drum": np.zeros(num, bool),
            "pitch": columns.pitch,
            "velocity": columns.velocity,
            "onset_tick": onset,
            "duration_tick": columns.duration_tick,
            "onset_sec": columns.onset_sec - start_sec,
            "offset_sec": columns.offset_sec - start_sec,
            "held_sec": np.zeros(num),
        }
        schema = _schema_of("notes")
        notes.append(pa.table([pa.array(given[f.name]).cast(f.type) for f in schema], schema=schema))
    tables = {name: _schema_of(name).empty_table() for name in READS}
    tables["performances"] = pa.Table.from_pylist(facts, schema=_schema_of("performances"))
    tables["notes"] = pa.concat_tables([tables["notes"], *notes])
    return tables


def _schema_of(table: str) -> pa.Schema:
    return pa.schema([SCHEMAS[table].field(name) for name in READS[table]])


def _from_first_bar(excerpt: Excerpt) -> np.ndarray:
    """Onsets in ticks from the beginning of the bar of four quarters in which the first note lies."""
    onset = excerpt.notes.onset_tick
    bar = QUARTERS_PER_BAR * excerpt.ticks_per_quarter
    return onset - onset.min() // bar * bar if len(onset) else onset
