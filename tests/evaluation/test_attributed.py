import numpy as np
import pytest
import torch
from worlds import VELOCITIES, KnowsAll, World, entropy

from pianogen.evaluation.attributed import score_attributes
from pianogen.evaluation.likelihood import score
from pianogen.midi.blocks import music_block
from pianogen.models import make_model
from pianogen.models.configs import ContinuousConfig, Gpt2Config
from pianogen.round_trips.residual import residual_bits
from pianogen.tokenizers.attribution import TOLD
from pianogen.tokenizers.base import LearnedTokenizer, TokenBlock, make_tokenizer

ALL = 1000
"""A context that holds any piece of the world."""
BY_ATTRIBUTE = {
    "remi": {"name": "remi"},
    "tsd": {"name": "tsd"},
    "midi_like": {"name": "midi_like"},
    "performance": {"name": "performance"},
    "with rests": {"name": "tsd", "rests": True},
}
BY_MIDITOK = {"by MidiTok": {"name": "miditok", "scheme": "REMI"}}
RUNS = {
    "BPE": {"name": "subwords", "base": {"name": "remi"}, "vocab_size": 340},
    "Unigram": {"name": "subwords", "base": {"name": "tsd"}, "model": "unigram", "vocab_size": 300},
    "BPE of voices": {"name": "subwords", "base": {"name": "jsb", "onsets": True}, "vocab_size": 240},
    "BPE of frames": {"name": "subwords", "base": {"name": "craykh"}, "vocab_size": 130},
}
WITHOUT_VELOCITY = {"jsb": {"name": "jsb", "onsets": True}, "craykh": {"name": "craykh"}}
ONE_VELOCITY = {64: 1.0}


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def quiet_world():
    return World(ONE_VELOCITY)


def made(settings, world):
    tokenizer = make_tokenizer(settings)
    if isinstance(tokenizer, LearnedTokenizer) and not tokenizer.is_learned:
        tokenizer = tokenizer.learned_from([music_block(world.pieces[::7])])
        assert len(tokenizer.vocab) > len(tokenizer.base.vocab)
    return tokenizer


def scored(settings, world):
    """Nats of each piece and attribute by who knows the world, through the tokens of a scheme."""
    tokenizer = made(settings, world)
    sequences = world.sequences(tokenizer)
    assert len({ids.tobytes() for ids in sequences}) == len(world.pieces), "the scheme loses something"
    model = KnowsAll(sequences, world.probability, len(tokenizer.vocab))
    nats = score_attributes(model, sequences, ALL, tokenizer)
    np.testing.assert_allclose(nats.sum(1), score(model, sequences, ALL), rtol=1e-6)
    return nats


@pytest.mark.parametrize("scheme", [*BY_ATTRIBUTE, *BY_MIDITOK, *RUNS])
def test_the_same_world_takes_the_same_bits_whatever_its_tokens(scheme, world, quiet_world):
    settings = {**BY_ATTRIBUTE, **BY_MIDITOK, **RUNS}[scheme]
    tells_velocity = scheme not in ("BPE of voices", "BPE of frames")
    there = world if tells_velocity else quiet_world
    nats = scored(settings, there).sum(1)
    # Piece by piece, so any set of pieces has the same bits per note, and all of them that of the law.
    np.testing.assert_allclose(nats, there.nats, rtol=1e-5, atol=1e-5)
    true = sum(there.expected.values())
    assert nats @ there.probability == pytest.approx(true, rel=1e-5)


@pytest.mark.parametrize("scheme", BY_ATTRIBUTE)
def test_each_attribute_takes_the_bits_that_it_has(scheme, world):
    expected = world.probability @ scored(BY_ATTRIBUTE[scheme], world)
    for name, nats in zip(TOLD, expected, strict=True):
        assert nats == pytest.approx(world.expected.get(name, 0.0), abs=1e-5), name
    mean_notes = world.probability @ [len(piece) for piece in world.pieces]
    assert world.expected["velocity"] == pytest.approx(mean_notes * entropy(VELOCITIES))


@pytest.mark.parametrize("scheme", WITHOUT_VELOCITY)
def test_what_sounds_on_steps_has_pitches_that_begin_and_durations_that_go_on(scheme, quiet_world):
    expected = dict(zip(TOLD, quiet_world.probability @ scored(WITHOUT_VELOCITY[scheme], quiet_world), strict=True))
    assert expected["pitch"] == pytest.approx(quiet_world.expected["pitch"], abs=1e-5)
    # That a note ends, and that another begins at once or none ever, are told together.
    together = [sum(nats[name] for name in ("onset", "duration", "end")) for nats in (expected, quiet_world.expected)]
    assert together[0] == pytest.approx(together[1], abs=1e-5)
    assert min(expected[name] for name in ("onset", "duration", "end")) > 0.1


def test_a_scheme_that_loses_something_says_less(quiet_world):
    tokenizer = make_tokenizer({"name": "note_chord"})
    sequences = quiet_world.sequences(tokenizer)
    model = KnowsAll(sequences, quiet_world.probability, len(tokenizer.vocab))
    expected = dict(
        zip(TOLD, quiet_world.probability @ score_attributes(model, sequences, ALL, tokenizer), strict=True)
    )
    assert expected["pitch"] > 0
    assert sum(expected.values()) < 0.8 * sum(quiet_world.expected.values())


@pytest.mark.parametrize("scheme", [*BY_ATTRIBUTE, *WITHOUT_VELOCITY, "note_chord"])
def test_with_what_it_leaves_unsaid_no_scheme_says_less_than_there_is(scheme, world):
    tokenizer = make_tokenizer({**BY_ATTRIBUTE, **WITHOUT_VELOCITY, "note_chord": {"name": "note_chord"}}[scheme])
    sequences = world.sequences(tokenizer)
    model = KnowsAll(sequences, world.probability, len(tokenizer.vocab))
    source = music_block(world.pieces)
    left = residual_bits(tokenizer, source, tokenizer.decode_block(tokenizer.encode_block(source))) * np.log(2)
    whole = score(model, sequences, ALL) + left
    # All pieces together are no more than certain, so no piece can seem likelier than it is without another paying.
    assert np.exp(-whole).sum() <= 1
    assert world.probability @ whole >= world.probability @ world.nats


def random_ids(tokenizer, *lengths):
    generator = np.random.default_rng(3)
    return [np.append(1, generator.integers(2, len(tokenizer.vocab), length)) for length in lengths]


@pytest.mark.parametrize(
    "settings", [*BY_ATTRIBUTE.values(), *BY_MIDITOK.values(), *RUNS.values(), *WITHOUT_VELOCITY.values()], ids=str
)
def test_any_ids_of_any_length_are_taken_apart_whole(settings, world):
    tokenizer = made(settings, world)
    torch.manual_seed(0)
    config = Gpt2Config(context_length=16, n_layer=1, n_head=2, n_embd=8)
    model = make_model(config, len(tokenizer.vocab))
    for parameter in model.parameters():
        parameter.data *= 2
    sequences = random_ids(tokenizer, 60, 3, 17, 1, 16)
    nats = score_attributes(model, sequences, 16, tokenizer)
    np.testing.assert_allclose(nats.sum(1), score(model, sequences, 16), rtol=1e-5)
    # Each decision takes something, but for rounding.
    assert nats.min() > -1e-3


def test_masses_are_those_of_all_ids_whose_runs_begin_alike(world):
    tokenizer = made(RUNS["BPE"], world)
    vocab_size = len(tokenizer.vocab)
    logits = torch.randn(vocab_size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    class Always(torch.nn.Module):
        def forward(self, input_ids, labels):
            said = logits.expand(*input_ids.shape, -1)
            nats = -said.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
            return type("Said", (), {"logits": said, "nats": torch.where(labels < 0, 0.0, nats)})

    probs = logits.softmax(-1)
    runs = [
        tuple(tokenizer.expand(TokenBlock(np.array([i]), np.array([0, 1]))).values.tolist()) for i in range(vocab_size)
    ]
    token = max(range(vocab_size), key=lambda i: len(runs[i]))
    kind = [name.partition("_")[0] for name in tokenizer.base.vocab]

    def mass(begins):
        return sum(float(probs[i]) for i in range(vocab_size) if begins(runs[i]))

    expected = dict.fromkeys(TOLD, 0.0)
    of_kind = {"Bar": "onset", "Position": "onset", "Pitch": "pitch", "Velocity": "velocity", "Duration": "duration"}
    left = 1.0
    for k, base in enumerate(run := runs[token]):
        steps = [] if k == 0 else [("segmentation", mass(lambda other, k=k: other[:k] == run[:k] and len(other) > k))]
        alike = mass(
            lambda other, k=k, base=base: other[:k] == run[:k] and len(other) > k and kind[other[k]] == kind[base]
        )
        steps += [("onset", alike)] if kind[base] == "Pitch" else []
        # Time with no note after it leads to the end.
        is_time = of_kind[kind[base]] == "onset"
        leads = "onset" if not is_time or "Pitch" in [kind[b] for b in run[k:]] else "end"
        name = leads if is_time else of_kind[kind[base]]
        steps.append((name, mass(lambda other, k=k: other[: k + 1] == run[: k + 1])))
        for attribute, after in steps:
            expected[attribute] += np.log(left / after)
            left = after
    expected["segmentation"] += np.log(left / float(probs[token]))
    nats = score_attributes(Always(), [np.array([1, token])], ALL, tokenizer)[0]
    assert len(run) >= 3
    assert dict(zip(TOLD, nats.tolist(), strict=True)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", ["mixture", "study"])
def test_rows_are_taken_apart_by_the_model(loss, world):
    tokenizer = make_tokenizer({"name": "continuous"})
    torch.manual_seed(0)
    model = make_model(ContinuousConfig(context_length=8, n_layer=1, n_head=2, n_embd=16, loss=loss), 0).eval()
    sequences = world.sequences(tokenizer)[:300:20]
    nats = score_attributes(model, sequences, 8, tokenizer)
    np.testing.assert_allclose(nats.sum(1), score(model, sequences, 8), rtol=1e-5)
    by_name = dict(zip(TOLD, nats.T, strict=True))
    for name in ("pitch", "duration", "velocity", "end"):
        assert (by_name[name] > 0).all()
    assert not any(by_name[name].any() for name in ("pedal", "tempo", "metre", "program", "segmentation", "other"))
