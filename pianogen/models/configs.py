"""Architectures and their sizes, as experiment files name them; importing this costs nothing."""

from dataclasses import dataclass
from typing import ClassVar

from pianogen.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What every architecture has; `config_class` gives the one of a name."""

    name: str
    context_length: int = 256
    """Tokens that the model sees at once."""
    dropout: float = 0.1

    reads_notes: ClassVar[bool] = False
    """Whether it reads rows of time shift, velocity, pitch and duration in place of ids."""
    reads_scheme: ClassVar[bool] = False
    """Whether it looks inside ids, and so has to know the tokenizer."""

    def __post_init__(self) -> None:
        """Refuse what no model can be."""
        self.require_positive("context_length")
        if self.context_length < 2:
            raise SettingsError(f"model.context_length must be 2 or more, found {self.context_length}")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"model.dropout must be at least 0 and below 1, found {self.dropout}")

    def require_positive(self, *names: str) -> None:
        """Refuse sizes below 1."""
        for name in names:
            if getattr(self, name) < 1:
                raise SettingsError(f"model.{name} must be 1 or more, found {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(ModelConfig):
    """Layers of attention."""

    n_layer: int = 3
    n_head: int = 4
    n_embd: int = 128

    def __post_init__(self) -> None:
        """Refuse what no transformer can be."""
        self.require_positive("n_layer", "n_head", "n_embd")
        super().__post_init__()
        if self.n_embd % self.n_head:
            raise SettingsError(f"model.n_embd must be a multiple of n_head, found {self.n_embd} and {self.n_head}")


@dataclass(frozen=True, kw_only=True)
class Gpt2Config(TransformerConfig):
    """See `pianogen.models.gpt2`."""

    name: str = "gpt2"


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(TransformerConfig):
    """See `pianogen.models.encoder`; the defaults are the study's V1."""

    name: str = "encoder"
    context_length: int = 512
    n_layer: int = 6
    n_head: int = 8
    n_embd: int = 512
    d_inner: int = 2048
    """Width inside a layer."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        self.require_positive("d_inner")


@dataclass(frozen=True, kw_only=True)
class MusicTransformerConfig(TransformerConfig):
    """See `pianogen.models.music_transformer`."""

    name: str = "music_transformer"
    d_inner: int = 0
    """Width inside a layer; 0: four times `n_embd`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        if self.d_inner < 0:
            raise SettingsError(f"model.d_inner must be 0 or more, found {self.d_inner}")


@dataclass(frozen=True, kw_only=True)
class GruConfig(ModelConfig):
    """See `pianogen.models.gru`."""

    name: str = "gru"
    n_embd: int = 128
    n_hidden: int = 256
    """Width of the recurrent layer."""
    window: int = 30
    """Tokens that the next one is predicted from, as in the class notebook; 0: all that stand before it."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        self.require_positive("n_embd", "n_hidden")
        require_window(self.window, self.context_length)


@dataclass(frozen=True, kw_only=True)
class GruAttentionConfig(GruConfig):
    """See `pianogen.models.gru_attention`."""

    name: str = "gru_attention"


@dataclass(frozen=True, kw_only=True)
class EncoderAttentionConfig(TransformerConfig):
    """See `pianogen.models.encoder_attention`."""

    name: str = "encoder_attention"
    n_layer: int = 1
    d_inner: int = 512
    window: int = 30
    """As of `GruConfig`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        self.require_positive("d_inner")
        require_window(self.window, self.context_length)


@dataclass(frozen=True, kw_only=True)
class ContinuousConfig(TransformerConfig):
    """See `pianogen.models.continuous`."""

    name: str = "continuous"
    loss: str = "mixture"
    """`mixture`, or `study`: the weighted sum of a cross-entropy and three squared errors."""
    bin_ms: int = 10
    """Milliseconds of a bin: times are whole numbers of bins where they are counted and drawn."""
    num_components: int = 16
    """Logistics in the mixture of a time."""
    time_shift_weight: float = 1.0
    """Of the squared error in seconds, where that of the pitch's cross-entropy is 1; for `study`, as the next two."""
    velocity_weight: float = 1.0
    """Of velocity from 0 to 1."""
    duration_weight: float = 1.0
    """As of the time shift."""

    reads_notes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        self.require_positive("bin_ms", "num_components")
        if self.loss not in ("mixture", "study"):
            raise SettingsError(f"model.loss must be mixture or study, found {self.loss!r}")
        # A normal narrower than a bin has not the weight that the squared error gives it.
        most = {"time_shift": 5e5 / self.bin_ms**2, "velocity": 127**2 / 2, "duration": 5e5 / self.bin_ms**2}
        for name, weight in most.items():
            found = getattr(self, f"{name}_weight")
            if not 0 < found <= weight:
                raise SettingsError(
                    f"model.{name}_weight must be above 0 and at most {weight:g}, which is one bin wide, found {found}"
                )


@dataclass(frozen=True, kw_only=True)
class PianistConfig(TransformerConfig):
    """See `pianogen.models.pianist`."""

    name: str = "pianist"
    d_voice: int = 256
    """Width of the network that chooses the voices of a step."""
    voice_dropout: float = 0.1
    """Dropout inside that network."""
    n_gru: int = 0
    """Recurrent layers before those of attention, for voices on steps."""
    in_order: float = 0.5
    """Share of steps whose voices training chooses in the tokenizer's order; those of the others in any."""
    hide: float = 0.1
    """Share of voices of earlier steps that training hides."""
    hide_repeats: float = 0.1
    """Share of repeats that it hides."""

    reads_scheme: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        self.require_positive("d_voice")
        for name in ("voice_dropout", "hide", "hide_repeats"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"model.{name} must be at least 0 and below 1, found {getattr(self, name)}")
        if not 0 <= self.in_order <= 1:
            raise SettingsError(f"model.in_order must lie in 0-1, found {self.in_order}")
        if self.n_gru < 0:
            raise SettingsError(f"model.n_gru must be 0 or more, found {self.n_gru}")
        if self.n_embd // self.n_head % 2:
            raise SettingsError(f"model.n_embd / n_head must be even, found {self.n_embd} / {self.n_head}")


def require_window(window: int, context_length: int) -> None:
    """Refuse a window that is none or longer than the context."""
    if not 0 <= window <= context_length:
        raise SettingsError(f"model.window must lie in 0-{context_length} (context_length), found {window}")


CONFIGS: dict[str, type[ModelConfig]] = {
    kind.name: kind
    for kind in (
        Gpt2Config,
        EncoderConfig,
        MusicTransformerConfig,
        GruConfig,
        GruAttentionConfig,
        EncoderAttentionConfig,
        ContinuousConfig,
        PianistConfig,
    )
}
"""By the name of the architecture, which is that of its module."""


def config_class(name: str) -> type[ModelConfig]:
    """The settings that an architecture has.

    Raises:
        SettingsError: there is no such architecture.
    """
    if name not in CONFIGS:
        raise SettingsError(f"model.name {name!r} is not known; known: {', '.join(CONFIGS)}")
    return CONFIGS[name]
