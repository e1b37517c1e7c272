import pytest
from builders import event, midi_bytes, press, tempo

from benchmarks.agreement import compare, compare_files, midi_files


@pytest.mark.slow
def test_notes_are_those_of_pretty_midi_but_for_rules_that_are_known(real_data):
    files, num_notes, _ = compare_files(midi_files(real_data)[3::29])
    assert files.keys() - {"agrees", "only ours", "neither"} <= {
        "zero length", "tempo", "zero length + tempo", "pairing", "pairing + tempo",
    }  # fmt: skip
    assert len(files["agrees"]) > 15
    assert num_notes["agrees"] > 10_000


TWO_AT_ONCE = event(0, 0x90, 60, 1) + event(10, 0x90, 60, 2) + event(10, 0x80, 60, 0) + event(10, 0x80, 60, 0)


@pytest.mark.parametrize(
    "data, reason",
    [
        (midi_bytes(tempo(400_000) + press(60) + press(62)), "agrees"),
        (midi_bytes(press(60) + press(62, 0)), "zero length"),
        (midi_bytes(press(60), tempo(400_000)), "tempo"),
        (midi_bytes(press(60) + press(62, 0), tempo(400_000)), "zero length + tempo"),
        (midi_bytes(TWO_AT_ONCE), "pairing"),
        (midi_bytes(TWO_AT_ONCE + press(62), tempo(400_000)), "pairing + tempo"),
        (midi_bytes(press(60))[:-1], "neither"),
        (midi_bytes(event(0, 0xFF, 0x59, 2, 50, 0) + press(60)), "only ours"),
        (midi_bytes(press(35, channel=9)), "neither"),
        # A number of five bytes, which mido adds up.
        (midi_bytes(b"\x80\x80\x80\x80" + press(60)), "only pretty_midi"),
    ],
)
def test_the_reason_of_a_difference_is_found(data, reason):
    assert compare(data).reason == reason
