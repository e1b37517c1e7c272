"""Performances that play in the cell of a notebook.

    from pianogen.report.notebook import player
    player("my.mid")                          a file, MIDI or MusicXML
    player("a.mid", "b.mid")                  two on one axis of time, heard by turns from the same place
    player(columns, title="Drawn just now")   NoteColumns, or the bytes of a MIDI file

What comes back shows itself (`_repr_html_`) as a page in a frame of its own: it needs no network, and the notebook's
style and scripts do not meet the page's. Titles and labels come from anywhere and are text. It needs no Jupyter.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from pianogen.aside import write_whole
from pianogen.foreign_text import steerless
from pianogen.midi.columns import NoteColumns
from pianogen.reading import parse_file
from pianogen.report import player_parts
from pianogen.report.player_data import Mark, Row, data_of_bytes, data_of_columns, data_of_parsed
from pianogen.report.rendering import environment
from pianogen.report.words import LANGUAGES, OF_SCRIPTS
from pianogen.static_pages import content_policy

MOST = 8
"""Performances on one axis."""
FRAME_HEIGHT = 350
LANE_HEIGHT = 180
"""Of each further performance, pixels."""

Performance = str | Path | bytes | NoteColumns


@dataclass(frozen=True)
class Player:
    """Performances as a page."""

    title: str
    page: str
    """The page, which stands for itself."""
    height: int
    """Of its frame, pixels."""

    def _repr_html_(self) -> str:
        """The page in a frame that may run its own scripts and save files, and no more."""
        frame = Markup(
            '<iframe srcdoc="{}" title="{}" sandbox="allow-scripts allow-downloads" '
            'style="width: 100%; height: {}px; border: 0"></iframe>'
        )
        return str(frame.format(self.page, self.title, self.height))

    def save(self, path: Path | str) -> Path:
        """Write the page as a file that any browser opens."""
        write_whole(path := Path(path), self.page.encode())
        return path


def player(
    *performances: Performance,
    title: str | None = None,
    marks: Sequence[Mark] = (),
    prompt_sec: float = 0.0,
    language: str | None = None,
) -> Player:
    """Performances to be seen and heard; several lie on one axis of time.

    Args:
        performances: paths of MIDI or MusicXML files, bytes of MIDI files, or note columns; `MOST` at most.
        title: of all; the names of the files without it.
        marks: start, end (seconds) and label of passages of the first performance.
        prompt_sec: where its prompt ends, seconds.
        language: `en` or `es`; that of the browser without it.

    Raises:
        RejectedFileError: one of them is no performance.
        ValueError: none is given, or too many, or the language is not known.
    """
    if not 1 <= len(performances) <= MOST:
        raise ValueError(f"1 to {MOST} performances expected, found {len(performances)}")
    if language not in (None, *LANGUAGES):
        raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, found {language!r}")
    rows = [
        _data(one, **({"marks": marks, "prompt_sec": prompt_sec} if not i else {})) | {"title": _name(one, i)}
        for i, one in enumerate(performances)
    ]
    title = title or " | ".join(row["title"] for row in rows)
    return Player(
        title, _page(title, rows, _midi(performances), language), FRAME_HEIGHT + LANE_HEIGHT * (len(rows) - 1)
    )


def _data(performance: Performance, marks: Sequence[Mark] = (), prompt_sec: float = 0.0) -> Row:
    if isinstance(performance, NoteColumns):
        return data_of_columns(performance, marks=marks, prompt_sec=prompt_sec)
    if isinstance(performance, bytes):
        return data_of_bytes(performance, marks=marks, prompt_sec=prompt_sec)
    return data_of_parsed(parse_file(Path(performance)), marks=marks, prompt_sec=prompt_sec)


def _name(performance: Performance, number: int) -> str:
    if isinstance(performance, str | Path):
        return steerless(Path(performance).name)
    return f"performance {number + 1}"


def _midi(performances: Sequence[Performance]) -> bytes | None:
    """The MIDI file of a single performance that is one."""
    if len(performances) > 1 or isinstance(performances[0], NoteColumns):
        return None
    (one,) = performances
    data = one if isinstance(one, bytes) else Path(one).read_bytes()  # pyright: ignore[reportArgumentType]
    return data if data[:4] == b"MThd" else None


def _page(title: str, rows: Sequence[Row], midi: bytes | None, language: str | None) -> str:
    style, first_script, scripts = player_parts.style(), player_parts.first_script(), player_parts.scripts()
    return (
        environment()
        .get_template("player_page.html")
        .render(
            piece={"title": title, "performances": rows},
            midi=midi and f"data:audio/midi;base64,{base64.b64encode(midi).decode()}",
            midi_name=f"{Path(title).stem or 'performance'}.mid",
            style=style,
            first_script=first_script,
            scripts=scripts,
            words=OF_SCRIPTS,
            languages=LANGUAGES,
            language=language,
            content_policy=content_policy(style, [first_script, *scripts]),
        )
    )
