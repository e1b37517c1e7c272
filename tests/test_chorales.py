import json
from pathlib import Path

import numpy as np
import pytest

from pianogen.chorales import SILENCE, list_members, parse_chorale
from pianogen.errors import RejectedFileError


def chorale(*steps: list[int]) -> bytes:
    return json.dumps(steps).encode()


HELD = [[72, 67, 64, 48], [72, 67, 65, SILENCE], [74, 67, 64, 48]]


def test_equal_pitches_on_neighbouring_steps_are_one_held_note():
    parsed = parse_chorale(chorale(*HELD), 0.125)
    rows = parsed.notes.select(["track", "pitch", "onset_tick", "duration_tick"]).to_pylist()
    notes = {(row["track"], row["pitch"], row["onset_tick"] // 120, row["duration_tick"] // 120) for row in rows}
    assert notes == {
        (0, 72, 0, 2),
        (0, 74, 2, 1),
        (1, 67, 0, 3),
        (2, 64, 0, 1),
        (2, 65, 1, 1),
        (2, 64, 2, 1),
        (3, 48, 0, 1),
        (3, 48, 2, 1),
    }
    assert (parsed.num_tracks, parsed.num_notes, parsed.duration_quarters) == (4, 8, 0.75)
    assert set(parsed.notes["velocity"].to_pylist()) == {64}


@pytest.mark.parametrize("sixteenth_sec, tempo_qpm", [(0.125, 120), (0.05, 300)])
def test_a_16th_lasts_as_long_as_it_is_asked_to(sixteenth_sec, tempo_qpm):
    parsed = parse_chorale(chorale(*HELD), sixteenth_sec)
    steps = parsed.notes["onset_sec"].to_numpy() / sixteenth_sec
    # Seconds are rounded to steps of a millionth.
    np.testing.assert_allclose(steps, np.rint(steps), rtol=0, atol=1e-5)
    assert parsed.duration_sec == pytest.approx(3 * sixteenth_sec, abs=1e-6)
    assert parsed.tables["tempos"].to_pylist() == [{"tick": 0, "time_sec": 0.0, "tempo_qpm": tempo_qpm}]


@pytest.mark.parametrize(
    "data, reason, detail",
    [
        (b"[[60,55,52]", "invalid_score", "not JSON: Expecting"),
        (b"[" * 100_000, "invalid_score", "not JSON: "),
        (b"\xff", "invalid_score", "not JSON: "),
        (b"{}", "invalid_score", "a list of steps expected, found dict"),
        (b"[[60,55,52]]", "invalid_score", "step 0: 4 pitches from -1 to 127 expected, found [60, 55, 52]"),
        (b"[[60,55,52,48],60]", "invalid_score", "step 1: 4 pitches from -1 to 127 expected, found 60"),
        (b"[[60,55,52,128]]", "invalid_score", "step 0: 4 pitches"),
        (b"[[60,55,52,-2]]", "invalid_score", "step 0: 4 pitches"),
        (b"[[60,55,52,48.5]]", "invalid_score", "step 0: 4 pitches"),
        (b"[[60,55,52,NaN]]", "invalid_score", "step 0: 4 pitches"),
        (b"[[60,55,52,true]]", "invalid_score", "step 0: 4 pitches"),
        (b"[]", "no_notes", "holds no note"),
        (b"[[-1,-1,-1,-1]]", "no_notes", "holds no note"),
    ],
)
def test_what_is_no_chorale_is_rejected_with_its_step(data, reason, detail):
    with pytest.raises(RejectedFileError) as told:
        parse_chorale(data, 0.125)
    assert told.value.reason == reason
    assert detail in told.value.detail
    assert len(told.value.detail) < 200


def test_members_are_named_by_split_and_number_and_their_bytes_do_not_depend_on_spaces(tmp_path):
    path = tmp_path / "chorales.json"
    path.write_text('{"test": [[[60,55,52,48]]], "train": [[[1, 2, 3, 4]], [[ 60, 55, 52, 48 ]]]}')
    members = list_members(path)
    assert [member.name for member in members] == ["test/000", "train/000", "train/001"]
    assert members[0].data == members[2].data == b"[[60,55,52,48]]"


@pytest.mark.parametrize(
    "text, detail",
    [
        ("", "not JSON: "),
        ("[]", "not JSON that maps names of splits to lists of chorales"),
        ('{"train": 3}', "not JSON that maps names of splits to lists of chorales"),
    ],
)
def test_a_file_of_another_shape_is_rejected(tmp_path, text, detail):
    path = tmp_path / "chorales.json"
    path.write_text(text)
    with pytest.raises(RejectedFileError, match=f"invalid_score: {detail}"):
        list_members(path)


def test_a_file_that_cannot_be_read_is_rejected(tmp_path):
    with pytest.raises(RejectedFileError, match="unreadable: No such file"):
        list_members(tmp_path / "absent.json")


def test_every_real_chorale_gives_its_steps_back(real_data: Path):
    members = list_members(real_data / "jsb" / "Jsb16thSeparated.json")
    assert len(members) == 382
    num_steps = 0
    for member in members:
        steps = np.array(json.loads(member.data))
        parsed = parse_chorale(member.data, 0.125)
        again = np.full(steps.shape, SILENCE)
        for row in parsed.notes.select(["track", "pitch", "onset_tick", "duration_tick"]).to_pylist():
            first = row["onset_tick"] // 120
            again[first : first + row["duration_tick"] // 120, row["track"]] = row["pitch"]
        assert (again == steps).all(), member.name
        num_steps += len(steps)
    assert num_steps == 55228 + 18408 + 18900
