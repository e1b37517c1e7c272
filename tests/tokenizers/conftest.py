from itertools import islice

import pytest
from builders import notes
from real_files import columns_of

from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.base import make_tokenizer


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """The passes of the schemes, compiled before a property is timed."""
    for name in ("remi", "tsd", "midi_like"):
        coder = make_tokenizer({"name": name})
        coder.decode(coder.encode(notes((0, 60, 1))))


@pytest.fixture(scope="session")
def real_music(real_data) -> dict[str, NoteColumns]:
    """Some real files of every kind, with their pedal, tempos and metres: performed, notated, pop, many parts."""
    return {
        str(path): columns_of(path)
        for dataset, every in (("asap", 60), ("maestro", 120), ("pop909", 100), ("lakh", 120), ("piano-course", 40))
        for path in islice(sorted((real_data / dataset).rglob("*.mid*")), 3, None, every)
    }
