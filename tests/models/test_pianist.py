"""Pianist: voices on steps, and events in time."""

import numpy as np
import pytest
import torch
from architectures import SCHEMES, SMALL_PIANIST, made_pianist, some_music
from builders import notes
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import TrainingError
from pianogen.evaluation.likelihood import score
from pianogen.generation.decoding import DecodingConfig
from pianogen.generation.sampling import continue_tokens
from pianogen.models import count_parameters, load_model, require_fit
from pianogen.models.keys import fading_sums, keys_of
from pianogen.models.repeats import find_repeats
from pianogen.models.steps_seen import steps_held, what_is_seen
from pianogen.models.token_facts import Grid, layout_of
from pianogen.shards.examples import IGNORED
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID, make_tokenizer
from pianogen.tokenizers.jsb import REST_ID


@pytest.fixture(params=SCHEMES)
def tokenizer(request):
    return make_tokenizer(SCHEMES[request.param])


@torch.inference_mode()
@pytest.mark.parametrize("place", [1, 6, 64, 129])
def test_a_logit_depends_on_no_later_token(tokenizer, place):
    model, ids = made_pianist(tokenizer), some_music(tokenizer)
    before = model(input_ids=ids).logits
    for shift in (1, 7, 40):
        changed = ids.clone()
        changed[:, place:] = 3 + (ids[:, place:] - 3 + shift) % (len(tokenizer.vocab) - 3)
        after = model(input_ids=changed).logits
        torch.testing.assert_close(before[:, :place], after[:, :place], rtol=1e-4, atol=1e-4)
        assert not torch.allclose(before[:, place:], after[:, place:])


@torch.inference_mode()
def test_a_window_from_the_middle_of_music_depends_on_no_later_token_either(tokenizer):
    model = made_pianist(tokenizer)
    first = model.stride if model.stride > 1 else 13
    ids = some_music(tokenizer)[:, first:]
    changed = ids.clone()
    changed[:, 20:] = 3 + (ids[:, 20:] + 1) % (len(tokenizer.vocab) - 3)
    before, after = (model(input_ids=x).logits[:, :20] for x in (ids, changed))
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_a_shorter_sequence_has_the_logits_of_a_longer_ones_beginning(tokenizer):
    model, ids = made_pianist(tokenizer), some_music(tokenizer)
    whole = model(input_ids=ids).logits
    for length in (1, 2, 63, 100):
        part = model(input_ids=ids[:, :length]).logits
        torch.testing.assert_close(whole[:, :length], part, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_probabilities_add_up_and_nats_are_theirs(tokenizer):
    model, ids = made_pianist(tokenizer), some_music(tokenizer)
    labels = ids.roll(-1, dims=1)
    labels[0, 60:] = IGNORED
    labels[1, -1] = EOS_ID if tokenizer.name == "jsb" else 5
    scores = model(input_ids=ids, labels=labels)
    assert scores.logits.shape == (*ids.shape, len(tokenizer.vocab))
    total = scores.logits.double().softmax(-1).sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))
    expected = -scores.logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    torch.testing.assert_close(scores.nats, expected.masked_fill(labels == IGNORED, 0))


@torch.inference_mode()
def test_steps_have_the_probabilities_of_their_voices_in_any_order():
    tokenizer = make_tokenizer(SCHEMES["jsb"])
    model, ids = made_pianist(tokenizer), some_music(tokenizer, length=129)
    logits = model(input_ids=ids[:, :-1]).logits
    # That a step is not the end is part of its first token's probability; it is left out here.
    logits[..., EOS_ID] = float("-inf")
    nats = -logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0].unflatten(1, (-1, 4)).sum(-1)
    torch.testing.assert_close(model.step_nats(ids[:, 1:], (0, 1, 2, 3)), nats)
    assert not torch.allclose(model.step_nats(ids[:, 1:], (3, 1, 0, 2)), nats)


@torch.inference_mode()
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_all_that_voices_can_do_together_has_the_probability_1_in_any_order(order):
    tokenizer = make_tokenizer({"name": "jsb", "lowest_pitch": 60, "highest_pitch": 62})
    model = made_pianist(tokenizer)
    step = torch.cartesian_prod(*[torch.arange(4)] * 4) + REST_ID
    before = torch.randint(REST_ID, REST_ID + 4, (40,), generator=torch.Generator().manual_seed(1))
    nats = model.step_nats(torch.cat((before.expand(len(step), -1), step), 1), order)
    torch.testing.assert_close(nats[:, -1].neg().exp().sum(), torch.tensor(1.0))


def test_one_batch_is_learned_by_heart(tokenizer):
    model = made_pianist(tokenizer, dropout=0.0, voice_dropout=0.0, hide=0.0, hide_repeats=0.0).train()
    ids = some_music(tokenizer, length=66)
    # Where both rows begin alike, nothing says which one it is: four steps of voices, three of them rests.
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(400):
        nll = model(input_ids=ids[:, :-1], labels=ids[:, 1:]).nats[:, 16:].mean()
        optimizer.zero_grad()
        nll.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if nll < 0.008:
            break
    assert nll < 0.01


@torch.inference_mode()
def test_a_saved_model_comes_back_the_same_and_knows_its_tokens(tokenizer, tmp_path):
    model, ids = made_pianist(tokenizer), some_music(tokenizer)
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, "pianist", len(tokenizer.vocab))
    assert loaded.scheme == {"name": tokenizer.name, **tokenizer.options}
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits)


def test_parameters_are_counted_without_memory(tokenizer):
    counted = count_parameters(SMALL_PIANIST, len(tokenizer.vocab), tokenizer)
    assert counted == sum(weight.numel() for weight in made_pianist(tokenizer).parameters())


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ({"name": "note_chord"}, "note_chord tells neither"),
        ({"name": "craykh"}, "craykh tells neither"),
        ({"name": "jsb", "onsets": True}, "take onsets: false"),
        ({"name": "continuous"}, "model pianist reads ids"),
    ],
)
def test_tokens_that_it_does_not_know_are_refused(scheme, message):
    with pytest.raises(TrainingError, match=message):
        require_fit(SMALL_PIANIST, make_tokenizer(scheme))


@torch.inference_mode()
def test_music_longer_than_the_context_is_scored_in_whole_bars(tokenizer):
    model, ids = made_pianist(tokenizer), some_music(tokenizer, num_rows=1, length=400)[0].numpy()
    whole = score(model, [ids], 1024)
    parts = score(model, [ids], 256)
    assert np.isfinite(parts).all()
    # Less is known in a window, but all of it counts.
    assert parts == pytest.approx(whole, rel=0.2)


def test_it_goes_on_with_steps_and_events(tokenizer):
    model, prompt = made_pianist(tokenizer), some_music(tokenizer, num_rows=1, length=41)[0].numpy()
    config = DecodingConfig(temperature=1.0)
    drawn = continue_tokens(model, [prompt], max_tokens=24, decoding=config, seeds=[3], context_length=128)[0]
    again = continue_tokens(model, [prompt], max_tokens=24, decoding=config, seeds=[3], context_length=128)[0]
    assert drawn.tolist() == again.tolist()
    assert drawn[: len(prompt)].tolist() == prompt.tolist()
    assert not {PAD_ID, BOS_ID} & set(drawn[len(prompt) :].tolist())
    if tokenizer.name == "jsb":
        # A piece ends between steps.
        assert EOS_ID not in drawn or (len(drawn) - 2) % 4 == 0
    tokenizer.decode(drawn)


def test_it_goes_on_beyond_its_context(tokenizer):
    model, prompt = made_pianist(tokenizer), some_music(tokenizer, num_rows=1, length=150)[0].numpy()
    drawn = continue_tokens(
        model, [prompt], max_tokens=6, decoding=DecodingConfig(temperature=0), seeds=[1], context_length=128
    )[0]
    # Half a context, from the beginning of a bar on.
    first = 150 - 64
    first = -(-first // model.stride) * model.stride
    with torch.inference_mode():
        logits = model(input_ids=torch.from_numpy(prompt[None, first:])).logits[0, -1]
    assert drawn[150] == 2 + int(logits[2:].argmax())


def plain_repeats(features, beat):
    """The longest match of each place, by its definition."""
    num_places, num_features = features.shape
    lag, length = np.zeros((2, num_places, 1 + num_features), int)
    for f in range(1 + num_features):
        column = features if f == 0 else features[:, f - 1 : f]
        for t in range(num_places):
            for k in range(beat, t, beat):
                run = 0
                while t - 1 - run - k >= 0 and (column[t - 1 - run] == column[t - 1 - run - k]).all():
                    run += 1
                if run > length[t, f]:
                    lag[t, f], length[t, f] = k, run
    return lag, length


@settings(max_examples=30)
@given(st.data())
def test_repeats_are_those_of_the_definition(data):
    num_places, num_features = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 3))
    beat, highest = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 3))
    ids = st.lists(st.integers(0, highest), min_size=num_features, max_size=num_features)
    rows = [np.array(data.draw(st.lists(ids, min_size=num_places, max_size=num_places))) for _ in range(2)]
    found = find_repeats(torch.from_numpy(np.stack(rows)), beat)
    for i, row in enumerate(rows):
        lag, length = plain_repeats(row, beat)
        assert found.lag[i].tolist() == lag.tolist()
        assert found.length[i].tolist() == length.tolist()


def test_keys_move_with_the_music():
    # C major, then as A minor, by what has sounded.
    major = [0, 4, 7, 5, 9, 0, 7, 11, 2, 0, 4, 7, 0]
    minor = [9, 0, 4, 2, 5, 9, 4, 8, 11, 9, 0, 4, 9]
    for classes, tonic, mode in ((major, 0, 1), (minor, 9, 2)):
        for up in range(12):
            sounding = torch.nn.functional.one_hot((torch.tensor(classes) + up) % 12, 12).float()[None]
            keys = keys_of(fading_sums(sounding, 50.0))
            assert (int(keys.tonic[0, -1]), int(keys.mode[0, -1])) == ((tonic + up) % 12, mode)
            assert int(keys.mode[0, 0]) == 0


def test_what_is_seen_of_a_step_is_what_was_before_it():
    grid = Grid(2, 20, 2, beats_per_bar=2)
    symbols = torch.tensor([[[8, 1], [8, 1], [10, 0], [10, 3]]])
    seen = what_is_seen(symbols, torch.tensor([True]), grid)
    assert seen.before[0].tolist() == [[20, 20], [8, 1], [8, 1], [10, 0]]
    assert seen.held[0].tolist() == [[1, 1], [1, 1], [2, 2], [1, 1]]
    assert seen.place[0].tolist() == [[0, 0], [1, 1], [2, 0], [3, 1]]
    # Up two semitones; the other rests.
    assert seen.motion[0].tolist() == [[0, 0], [0, 0], [14, 14], [16, 0]]
    # 7 semitones down from the first voice to the second.
    assert seen.chord[0, :, 0].tolist() == [0, 6, 6, 0]
    assert what_is_seen(symbols, torch.tensor([False]), grid).before[0, 0].tolist() == [21, 21]


def test_steps_are_counted_as_long_as_a_voice_holds():
    before = torch.tensor([[5] * 20 + [6] + [5] * 3])[..., None]
    assert steps_held(before)[0, :, 0].tolist() == [*range(1, 17), *[16] * 4, 1, 1, 2, 3]


def test_the_clock_of_events_is_that_of_the_tokens():
    tokenizer = make_tokenizer({"name": "remi"})
    events = layout_of(tokenizer)
    ids = tokenizer.encode(notes((0, 60, 1), (1.5, 64, 0.5), (5, 67, 1)))
    read = made_pianist(tokenizer).reader(torch.from_numpy(np.concatenate(([BOS_ID], ids)).astype(np.int64))[None])
    assert events.units_per_bar == 32
    # Before each of three notes and the place after them: what has been, in units of an eighth of a quarter.
    assert read.past.pitch[0].tolist() == [0, 0, 60, 64, 67]
    assert (read.past.time[0, 2:] - read.past.time[0, 2]).tolist() == [0, 12, 40]
    assert read.past.place[0, 2:].tolist() == [0, 12, 8]
