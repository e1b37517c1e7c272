"""The study's V5, notes as rows of numbers: GPT-2 over the sum of an embedding and projections, a head for each number.

A row is time shift and duration in milliseconds, velocity 0-1, and pitch; a row of zeros is no note: it begins a piece,
and as what follows the last note it is the end. Whatever follows is exactly scored: the end, or pitch, time shift,
duration and velocity, one after the other, as a product of four probabilities over whole bins of time, MIDI's pitches
and velocities.

- `loss: mixture`: each number is given those chosen before it. A time shift is 0, or of a mixture of logistics over log
  time; a duration of another mixture, a bin or more; pitch and velocity are classes.
- `loss: study`: the weighted sum of a cross-entropy and three squared errors, as the study had it, and the four heads
  know nothing of each other. Squared errors are, up to constants, the nats of normals of a fixed width around what the
  heads say; with these constants they are a likelihood, over all whole bins, negative ones as well. What it draws are
  the pitch, and the three means.

docs/models/continuous.md says why the study's collapses.

Source: the study (V5). The chain follows Notochord (Shepardson et al., arXiv 2403.12000).

B rows, T positions, D width, K logistics.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2Config, GPT2Model

from pianogen.models.configs import ContinuousConfig
from pianogen.models.densities import LEAST_LOG_SCALE, MOST_LOG_SCALE, Mixture, bins_of, log_mass_with_zero, normal_nats
from pianogen.models.gpt2 import INITIAL_STD, WIDTH, read_trunk, trunk_cache
from pianogen.models.incremental import State
from pianogen.models.scoring import Choice, Scores, TokenModel, initialised
from pianogen.shards.examples import IGNORED
from pianogen.tokenizers.continuous import FIELDS

NUM_PITCHES, NUM_VELOCITIES = 128, 127
END = 0
"""Class of no note; those of pitches follow it."""
SHIFT, VELOCITY, PITCH, DURATION = (FIELDS.index(name) for name in ("time_shift", "velocity", "pitch", "duration"))
WAVES = 6
"""Of log time, by which a model tells times apart."""
EARLY_MS, LATE_MS = 20.0, 4000.0
"""Between these the logistics stand at the beginning."""


class Continuous(TokenModel):
    """See the module."""

    def __init__(self, config: ContinuousConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        std = INITIAL_STD * (WIDTH / config.n_embd) ** 0.5
        self.heads = (Mixtures if config.loss == "mixture" else Means)(config)
        self.numbers = nn.Linear(self.heads.num_features, config.n_embd)
        for module in (self.heads, self.numbers):
            initialised(module, std)
        self.heads.spread()
        self.trunk = GPT2Model(
            GPT2Config(
                vocab_size=1 + NUM_PITCHES,  # its embedding is that of the pitch
                n_positions=config.context_length,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_embd=config.n_embd,
                embd_pdrop=config.dropout,
                resid_pdrop=config.dropout,
                attn_pdrop=0.0,
                initializer_range=std,
                bos_token_id=None,
                eos_token_id=None,
                use_cache=False,
            )
        )

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> Scores:
        """Scores of rows (B, T, 4), and of the rows (B, T, 4) that follow them; in place of logits states (B, T, D)."""
        states = self.trunk(inputs_embeds=self.embedded(input_ids)).last_hidden_state
        if labels is None:
            return Scores(states)
        with torch.autocast(input_ids.device.type, enabled=False):
            nats = self.heads.say(states.float(), labels).nats()
        return Scores(states, torch.where(labels[..., 0] == IGNORED, 0.0, nats))

    def attribute_nats(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """-ln p of labels by attribute, (B, T) each, 0 where they are ignored; together the nats of `forward`."""
        states = self(input_ids).logits.float()
        is_there = labels[..., 0] != IGNORED
        said = self.heads.say(states, labels).by_attribute()
        return {name: torch.where(is_there, nats, 0.0) for name, nats in said.items()}

    def embedded(self, rows: torch.Tensor) -> torch.Tensor:
        """What the trunk is given of rows (B, T, 4), (B, T, D)."""
        # Numbers are read and written in full precision, whatever the trunk computes in.
        with torch.autocast(rows.device.type, enabled=False):
            return self.trunk.wte(pitch_classes(rows)) + self.numbers(self.heads.features(rows))

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        return _State(self, num_rows)

    def draw(self, logits: torch.Tensor, choice: Choice) -> torch.Tensor:
        """The rows (B, 4) that follow states (B, D), on the CPU; zeros where the piece ends."""
        return self.heads.draw(logits.to(self.numbers.weight), choice).cpu()


class _State(State):
    def __init__(self, model: Continuous, num_rows: int) -> None:
        super().__init__(model)
        self.model, self.cache = model, trunk_cache(model.trunk, num_rows)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        return read_trunk(self.model.trunk, self.cache, self.model.embedded(ids))


def pitch_classes(rows: torch.Tensor) -> torch.Tensor:
    """Class of the pitch of each row (..., 4), END where it is no note; int64 (...)."""
    pitch = rows[..., PITCH].round().clamp(0, NUM_PITCHES - 1).long()
    return torch.where(rows.any(dim=-1), pitch + 1, END)


def rows_of(classes: torch.Tensor, shift: torch.Tensor, duration: torch.Tensor, velocity: torch.Tensor) -> torch.Tensor:
    """Rows (B, 4) of what was chosen; zeros where the class is END."""
    rows = torch.zeros(len(classes), len(FIELDS), device=shift.device)
    rows[:, SHIFT], rows[:, DURATION], rows[:, VELOCITY] = shift, duration, velocity
    rows[:, PITCH] = classes - 1.0
    return rows * (classes != END)[:, None]


class Said(NamedTuple):
    """What heads say of the rows that follow, (B, T) but for one; nats of numbers count where a row is a note."""

    classes: torch.Tensor
    log_pitch: torch.Tensor
    """ln p of each class, (B, T, 1 + NUM_PITCHES)."""
    of_shift: torch.Tensor
    of_duration: torch.Tensor
    of_velocity: torch.Tensor

    @property
    def of_class(self) -> torch.Tensor:
        """Nats of the class."""
        return -self.log_pitch.gather(-1, self.classes[..., None])[..., 0]

    def nats(self) -> torch.Tensor:
        """Of rows."""
        numbers = self.of_shift + self.of_duration + self.of_velocity
        return self.of_class + torch.where(self.classes == END, 0.0, numbers)

    def by_attribute(self) -> dict[str, torch.Tensor]:
        """The same taken apart: that a note follows is of its onset, which one of its pitch."""
        follows = -self.log_pitch[..., END + 1 :].logsumexp(dim=-1)
        of_notes = {
            "onset": follows + self.of_shift,
            "pitch": self.of_class - follows,
            "duration": self.of_duration,
            "velocity": self.of_velocity,
        }
        is_end = self.classes == END
        parts = {name: torch.where(is_end, 0.0, nats) for name, nats in of_notes.items()}
        return {**parts, "end": torch.where(is_end, self.of_class, 0.0)}


class Mixtures(nn.Module):
    """Pitch, then time shift, duration and velocity, each given those before it."""

    num_features = 2 * (2 + 2 * WAVES) + 1

    def __init__(self, config: ContinuousConfig) -> None:
        super().__init__()
        self.bin_ms, self.num_components = config.bin_ms, config.num_components
        width = config.n_embd
        num_parameters = 3 * config.num_components
        self.pitch = nn.Linear(width, 1 + NUM_PITCHES)
        self.shift, self.duration, self.velocity = (
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, size))
            for size in (1 + num_parameters, num_parameters, NUM_VELOCITIES)
        )
        self.given_pitch = nn.Embedding(1 + NUM_PITCHES, width)
        self.given_shift, self.given_duration = (nn.Linear(2 + 2 * WAVES, width) for _ in range(2))

    def spread(self) -> None:
        """Let the logistics stand at equal distances over log time, each as wide as these."""
        means = torch.linspace(math.log(EARLY_MS), math.log(LATE_MS), self.num_components)
        distance = math.log(LATE_MS / EARLY_MS) / self.num_components
        bias = torch.cat((torch.zeros_like(means), means, torch.full_like(means, math.log(distance / 2))))
        for head in (self.shift, self.duration):
            last = head[-1]
            assert isinstance(last, nn.Linear)
            last.bias.data[-len(bias) :] = bias

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        """What is read of the numbers of rows (..., 4), as they are drawn: in bins."""
        shift, duration, _ = self.binned(rows)
        return torch.cat((self.of_time(shift), self.of_time(duration), rows[..., VELOCITY, None]), dim=-1)

    def binned(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Bins of time shift and duration of rows (..., 4), and classes of velocity."""
        velocity = (rows[..., VELOCITY] * NUM_VELOCITIES).round().clamp(1, NUM_VELOCITIES).long() - 1
        return bins_of(rows[..., SHIFT], self.bin_ms, 0), bins_of(rows[..., DURATION], self.bin_ms, 1), velocity

    def of_time(self, k: torch.Tensor) -> torch.Tensor:
        """What tells bins k (...) apart: whether it is the first, its logarithm, and waves of that."""
        log = (k * self.bin_ms).log1p()[..., None]
        angles = log * 2.0 ** torch.arange(WAVES, device=k.device)
        return torch.cat(((k == 0)[..., None].float(), log / 4, angles.sin(), angles.cos()), dim=-1)

    def say(self, states: torch.Tensor, labels: torch.Tensor) -> Said:
        """What states (B, T, D) say of rows (B, T, 4)."""
        classes = pitch_classes(labels)
        shift, duration, velocity = self.binned(labels)
        log_pitch = self.pitch(states).log_softmax(dim=-1)
        x = states + self.given_pitch(classes)
        zero, mixture = self.shift_given(x)
        of_shift = log_mass_with_zero(mixture, zero, shift, self.bin_ms)
        x = x + self.given_shift(self.of_time(shift))
        of_duration = self.mixture(self.duration(x)).log_mass(duration, self.bin_ms, first=1)
        x = x + self.given_duration(self.of_time(duration))
        of_velocity = F.cross_entropy(self.velocity(x).movedim(-1, 1), velocity, reduction="none")
        return Said(classes, log_pitch, -of_shift, -of_duration, of_velocity)

    def shift_given(self, x: torch.Tensor) -> tuple[torch.Tensor, Mixture]:
        """ln of the odds of no time, and the mixture of times, after (..., D)."""
        said = self.shift(x)
        return said[..., 0], self.mixture(said[..., 1:])

    def mixture(self, said: torch.Tensor) -> Mixture:
        """What a head says of a time, (..., 3 K)."""
        weights, means, log_scales = said.chunk(3, dim=-1)
        return Mixture(weights.log_softmax(dim=-1), means, log_scales.clamp(LEAST_LOG_SCALE, MOST_LOG_SCALE))

    def draw(self, states: torch.Tensor, choice: Choice) -> torch.Tensor:
        """Rows (B, 4) after states (B, D). Temperature is that of every number; top-k and top-p cut the pitch."""
        device = states.device
        classes = choice.pick(self.pitch(states)).to(device)
        x = states + self.given_pitch(classes)
        zero, mixture = self.shift_given(x)
        is_later = choice.pick(torch.stack((zero, torch.zeros_like(zero)), dim=-1), cut=False).to(device)
        shift = mixture.draw(choice, self.bin_ms, first=0) * is_later
        x = x + self.given_shift(self.of_time(shift))
        duration = self.mixture(self.duration(x)).draw(choice, self.bin_ms, first=1)
        x = x + self.given_duration(self.of_time(duration))
        velocity = choice.pick(self.velocity(x), cut=False).to(device) + 1
        return rows_of(classes, shift * self.bin_ms, duration * self.bin_ms, velocity / NUM_VELOCITIES)


class Means(nn.Module):
    """The study's: a cross-entropy and three squared errors, of seconds and of velocity from 0 to 1."""

    num_features = 3

    def __init__(self, config: ContinuousConfig) -> None:
        super().__init__()
        self.weights = (config.time_shift_weight, config.duration_weight, config.velocity_weight)
        self.bin_widths = (config.bin_ms / 1000, config.bin_ms / 1000, 1 / NUM_VELOCITIES)
        self.pitch = nn.Linear(config.n_embd, 1 + NUM_PITCHES)
        self.means = nn.Linear(config.n_embd, 3)

    def spread(self) -> None:
        """Nothing stands anywhere before it has learned."""

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        """Time shift, duration, velocity of rows (..., 4)."""
        return torch.stack((rows[..., SHIFT] / 1000, rows[..., DURATION] / 1000, rows[..., VELOCITY]), dim=-1)

    def say(self, states: torch.Tensor, labels: torch.Tensor) -> Said:
        """What states (B, T, D) say of rows (B, T, 4): squared errors with the constants that make them -ln p."""
        bin_width = torch.tensor(self.bin_widths, device=states.device)
        binned = (self.features(labels) / bin_width + 0.5).floor() * bin_width
        errors = (self.means(states) - binned).unbind(dim=-1)
        parts = zip(errors, self.weights, self.bin_widths, strict=True)
        log_pitch = self.pitch(states).log_softmax(dim=-1)
        return Said(pitch_classes(labels), log_pitch, *(normal_nats(*part) for part in parts))

    def draw(self, states: torch.Tensor, choice: Choice) -> torch.Tensor:
        """Rows (B, 4) after states (B, D): a pitch that is drawn, and means, whatever the temperature."""
        classes = choice.pick(self.pitch(states)).to(states.device)
        shift, duration, velocity = self.means(states).unbind(dim=-1)
        return rows_of(classes, shift * 1000, duration * 1000, velocity)


make, load = Continuous, Continuous.from_folder
