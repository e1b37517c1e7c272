"""Parts of notes in columns and blocks: read where they are asked for, and kept with their notes."""

from dataclasses import replace

import numpy as np
from builders import notes, write_tiny_lake

from pianogen.midi.blocks import READS, READS_PARTS, music_block, read_music, steady_music
from pianogen.shards.files import read_block_music

DUET = replace(
    notes((0, 60, 1), (0, 64, 1), (1, 62, 1)),
    track=np.array([0, 3, 0], np.int16),
    program=np.array([0, 40, 0], np.uint8),
)
PIANO = notes((0, 50, 1), (2, 52, 1))


def test_parts_stay_with_their_notes():
    assert DUET.take(DUET.pitch > 60).track.tolist() == [3, 0]
    assert DUET.take(np.array([1])).sorted().program.tolist() == [40]
    block = music_block([PIANO, DUET]).take(np.array([1, 0, 1]))
    assert block.track.tolist() == [0, 3, 0, 0, 0, 0, 3, 0]
    assert block[2].program.tolist() == [0, 40, 0]
    assert block[1].track.tolist() == [0, 0]


def test_without_parts_there_are_none():
    block = music_block([PIANO, PIANO]).take(np.array([1]))
    assert len(block.track) == len(block.program) == len(block[0].track) == len(PIANO.take(np.array([0])).program) == 0
    column = {name: getattr(PIANO, name) for name in ("pitch", "velocity", "onset_tick", "duration_tick")}
    assert len(steady_music(480, np.array([0, 2]), **column).track) == 0
    assert steady_music(480, np.array([0, 2]), **column, track=np.array([0, 1])).track.tolist() == [0, 1]


def test_parts_are_read_where_they_are_asked_for(tmp_path):
    lake = write_tiny_lake(tmp_path)
    (key,) = lake.manifests("ingest")[0].blocks
    tables = {name: lake.read_block("ingest", key, name, columns) for name, columns in READS_PARTS.items()}
    names = tables["performances"]["performance_id"].to_pylist()
    told, untold = (read_block_music(lake, key, names[:2], parts=parts) for parts in (True, False))
    assert np.array_equal(told.pitch, untold.pitch)
    assert len(told.track) == len(told.program) == len(told.pitch) > 0 == len(untold.track)
    assert set(told.program.tolist()) == set(tables["notes"]["program"].to_pylist())
    fewer = {name: table.select(READS[name]) for name, table in tables.items()}
    assert len(read_music(fewer).program) == 0
