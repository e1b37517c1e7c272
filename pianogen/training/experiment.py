"""One experiment: a YAML file read into frozen settings.

The file's stem is the experiment's name. Every section but `model` and `training` may be left out.
An error names the file, the line and the key.
"""

import dataclasses
import math
import re
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pianogen.augment import AugmentConfig
from pianogen.errors import SettingsError
from pianogen.models import ModelConfig, config_class

DEVICES = ("auto", "cpu", "cuda")
WINDOWS = ("chunks", "crops", "bars")
OPTIMIZERS = ("adamw", "muon")
LOGGERS = ("tensorboard", "wandb", "mlflow")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
NAME = re.compile(r"[a-z0-9_-]+")
LEAST_SHARE = 2**-14
"""Of a mixture; see `shards.examples.Mixture`, which deals out so many examples at a time."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which music."""

    datasets: tuple[str, ...] | str | None = None
    """Names, whose music counts by its amount; a mixture, `jsb+custom` or `jsb:3+custom`, whose parts count by their
    weights, 1 where none stands; None (in the file: `all`) takes every dataset of the lake."""
    leak: float = 0.0
    """Share of the groups of test music that is trained on as well, on purpose, to show what leaking buys. Such a run
    has no certificate and no rank, and is never the best checkpoint."""

    def __post_init__(self) -> None:
        """Refuse a mixture that cannot be read, and a share that is none."""
        _ = self.weights
        if not 0 <= self.leak < 1:
            raise SettingsError(f"data.leak must be at least 0 and below 1, found {self.leak}")

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the datasets; None: all."""
        return tuple(self.weights or ()) if isinstance(self.datasets, str) else self.datasets

    @property
    def weights(self) -> dict[str, float] | None:
        """Of the datasets of a mixture."""
        if not isinstance(self.datasets, str):
            return None
        weights: dict[str, float] = {}
        for part in self.datasets.split("+"):
            name, colon, weight = part.strip().partition(":")
            try:
                value = float(weight) if colon else 1.0
            except ValueError:
                value = math.nan
            if not name or name in weights or not (math.isfinite(value) and value > 0):
                raise SettingsError(
                    f"data.datasets: a mixture is names with a + between them, each once and with a weight above 0 "
                    f"where it has one, such as jsb:3+custom; found {self.datasets!r}"
                )
            weights[name] = value
        if "all" in weights:
            raise SettingsError(f"data.datasets: a mixture names its datasets one by one, found {self.datasets!r}")
        if min(weights.values()) / sum(weights.values()) < LEAST_SHARE:
            raise SettingsError(f"data.datasets: a weight is less than 1 in {1 / LEAST_SHARE:,.0f}: {self.datasets!r}")
        return weights


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the weights are found: AdamW, linear warm-up, then a cosine down to zero at the last step."""

    steps: int = 1000
    """Optimizer updates."""
    batch_size: int = 16
    """Windows of one forward pass, of all ranks together; an update takes `gradient_accumulation_steps` of them."""
    gradient_accumulation_steps: int = 1
    tokens_per_update: int = 0
    """Windows are taken until an update has so many targets, and no fewer than `batch_size`; 0: a fixed number."""
    optimizer: str = "adamw"
    """Or `muon`, which AdamW helps with all but the matrices inside; see `training.optimizers`."""
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    adam_beta2: float = 0.99
    dropout_end: float = 1.0
    """Share of the model's dropout, and of what else it hides in training, that is left at the last step; it falls
    linearly from all of it."""
    calibrate: bool = False
    """After training, choose on the validation split how sure the model is, where it has numbers for it; see
    `training.calibration`."""
    ema: float = 0.0
    """Decay, per update, of the average of the weights that is validated and kept; 0: the weights themselves are."""
    patience: int = 0
    """Validations without a new best in bits per note after which training ends; 0: it goes on to the last step."""
    validate_every: int = 100
    """Steps; a multiple of `checkpoint_every`, since the best model is taken from a checkpoint."""
    checkpoint_every: int = 100
    log_every: int = 10
    validation_tokens: int = 200_000
    """Validation stops adding performances when it holds this many tokens."""
    cpu_threads: int = 2
    """On a CPU, of each process; weights depend on it, so it is part of the run's identity."""
    precision: str = "auto"
    """Of matrix products in training: see `models.devices.pick_device`. Weights, losses and validation are fp32."""
    compile: bool = False
    """Training goes through `torch.compile`; on a CPU that needs a C++ compiler."""
    view: str = "chunks"
    """How sequences become windows: `chunks`, `crops`, which lie elsewhere in every epoch, or `bars`, which begin with
    a bar (see `shards.views`)."""
    context_length: int = 0
    """Tokens of a window in training, at most the model's `context_length`; 0: as many."""
    seed: int = 1
    device: str = "auto"
    sample_every: int = 0
    """Steps; 0: no samples while it trains."""
    loggers: tuple[str, ...] = ()
    """Who is told the metrics beside the run's own files: `tensorboard`, `wandb`, `mlflow`."""
    fine_tune: str = ""
    """Begin with the weights of a finished run: an experiment's name, or a run's folder; see `training.parents`."""
    fine_tune_unchecked: bool = False
    """Begin with them even where nobody can tell whether they were trained on music that is held out here."""

    def __post_init__(self) -> None:
        """Refuse what can't be trained."""
        if self.fine_tune_unchecked and not self.fine_tune:
            raise SettingsError("training.fine_tune_unchecked says something of training.fine_tune, which is not there")
        for name in (
            "steps",
            "batch_size",
            "gradient_accumulation_steps",
            "validate_every",
            "checkpoint_every",
            "log_every",
            "validation_tokens",
            "cpu_threads",
        ):
            if getattr(self, name) < 1:
                raise SettingsError(f"training.{name} must be 1 or more, found {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise SettingsError(f"training.learning_rate must be above 0, found {self.learning_rate}")
        not_negative = ("warmup_steps", "weight_decay", "max_grad_norm", "seed", "patience", "tokens_per_update")
        for name in (*not_negative, "context_length", "sample_every"):
            if getattr(self, name) < 0:
                raise SettingsError(f"training.{name} must be 0 or more, found {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise SettingsError(f"training.ema must be at least 0 and below 1, found {self.ema}")
        if not 0 <= self.dropout_end <= 1:
            raise SettingsError(f"training.dropout_end must lie in 0-1, found {self.dropout_end}")
        if self.dropout_end < 1 and self.compile:
            raise SettingsError(
                "training.compile would compile anew at every step, where training.dropout_end lets dropout fall; "
                "leave out one of them"
            )
        if self.tokens_per_update and self.gradient_accumulation_steps > 1:
            raise SettingsError(
                f"training.tokens_per_update decides how many forward passes an update takes: leave out "
                f"gradient_accumulation_steps, found {self.gradient_accumulation_steps}"
            )
        if self.validate_every % self.checkpoint_every:
            raise SettingsError(
                f"training.validate_every must be a multiple of checkpoint_every, "
                f"found {self.validate_every} and {self.checkpoint_every}"
            )
        if self.optimizer not in OPTIMIZERS:
            raise SettingsError(f"training.optimizer must be one of {', '.join(OPTIMIZERS)}, found {self.optimizer!r}")
        if self.view not in WINDOWS:
            raise SettingsError(f"training.view must be one of {', '.join(WINDOWS)}, found {self.view!r}")
        if self.device not in DEVICES:
            raise SettingsError(f"training.device must be one of {', '.join(DEVICES)}, found {self.device!r}")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"training.precision must be one of {', '.join(PRECISIONS)}, found {self.precision!r}")
        if set(self.loggers) - set(LOGGERS) or len(set(self.loggers)) < len(self.loggers):
            raise SettingsError(
                f"training.loggers must be among {', '.join(LOGGERS)}, each once, found {list(self.loggers)}"
            )


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """Which samples are made of the trained model, and how tokens are drawn."""

    num_prompted: int = 2
    """Continuations of the beginning of a test performance."""
    num_unprompted: int = 2
    prompt_sec: float = 8.0
    max_tokens: int = 512
    """Tokens after the prompt, unless the model ends the piece before."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the most likely token."""
    top_k: int = 0
    """Draw among the k most likely tokens; 0: among all."""
    top_p: float = 1.0
    """Draw among the fewest most likely tokens whose probabilities reach this sum."""
    min_p: float = 0.0
    """Draw among tokens at least so many times as likely as the most likely one; 0: among all."""
    repetition_penalty: float = 1.0
    """Divides the logits of tokens that came before, and multiplies those below 0; 1: none."""
    repetition_window: int = 0
    """The last tokens that the penalty looks at; 0: all, the prompt included."""
    no_repeat_ngram: int = 0
    """Tokens of a run that may not come twice; 0: any may."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what can't be drawn."""
        counts = ("num_prompted", "num_unprompted", "top_k", "repetition_window", "no_repeat_ngram", "seed")
        for name in (*counts, "temperature"):
            if getattr(self, name) < 0:
                raise SettingsError(f"generation.{name} must be 0 or more, found {getattr(self, name)}")
        if self.max_tokens < 1:
            raise SettingsError(f"generation.max_tokens must be 1 or more, found {self.max_tokens}")
        if self.prompt_sec <= 0:
            raise SettingsError(f"generation.prompt_sec must be above 0, found {self.prompt_sec}")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"generation.top_p must be above 0 and at most 1, found {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise SettingsError(f"generation.min_p must lie in 0-1, found {self.min_p}")
        if not (math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0):
            raise SettingsError(f"generation.repetition_penalty must be above 0, found {self.repetition_penalty}")


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """Everything that one experiment file says."""

    name: str
    description: str = ""
    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: dict[str, Any] = field(default_factory=lambda: {"name": "remi"})
    """`name` and the options of that tokenizer."""
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig
    training: TrainingConfig
    generation: GenerationConfig = field(default_factory=GenerationConfig)

    def __post_init__(self) -> None:
        """Refuse sections that contradict each other."""
        if self.training.context_length > self.model.context_length:
            raise SettingsError(
                f"training.context_length must be at most that of the model, found {self.training.context_length} and "
                f"{self.model.context_length}"
            )


def load_experiment(path: Path) -> ExperimentConfig:
    """Read an experiment file.

    Raises:
        SettingsError: the file is missing, is not YAML, or holds a key or value that is not known.
    """
    path = Path(path)
    _require_name(path)
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such experiment file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a readable text file: {error}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode):
        raise SettingsError(f"{path}: keys with values expected, such as `model:` and `training:`")
    return _Reader(path).read(root, ExperimentConfig, "", name=path.stem)


def list_experiments(folder: Path) -> tuple[str, ...]:
    """Names of the experiment files in a folder itself, ascending: those that a run of the whole graph trains.

    Raises:
        SettingsError: a file's name cannot be an experiment's.
    """
    paths = sorted(Path(folder).glob("*.yaml"))
    for path in paths:
        _require_name(path)
    return tuple(path.stem for path in paths)


def find_experiments(folder: Path) -> dict[str, Path]:
    """Every experiment file in a folder and below it, by name; those in the folder itself first.

    What lies below is trained when it is asked for by its name.

    Raises:
        SettingsError: a file's name cannot be an experiment's, or two files have one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(Path(folder).rglob("*.yaml"), key=lambda path: (len(path.parts), path)):
        _require_name(path)
        if (other := found.setdefault(path.stem, path)) != path:
            raise SettingsError(f"{path}: {other} has the same name, which is that of the experiment; rename one")
    return found


def experiment_file(folder: Path, name: str) -> Path:
    """The file of an experiment; where none has that name, the one that `load_experiment` says is missing."""
    return find_experiments(folder).get(name, Path(folder) / f"{name}.yaml")


def _require_name(path: Path) -> None:
    if not NAME.fullmatch(path.stem):
        raise SettingsError(f"{path}: an experiment's file name has only a-z, 0-9, _ and -")


class _Reader:
    """Makes frozen settings of YAML nodes, which know their lines."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, node: yaml.Node, kind: type, section: str, **given: Any) -> Any:
        """An object of the dataclass `kind` from a mapping node; fields in `given` are not for the file."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{section}: keys with values expected")
        if kind is ModelConfig:
            kind = self.architecture(node, section)
        hints = typing.get_type_hints(kind)
        known = [f.name for f in dataclasses.fields(kind) if f.name not in given]
        values: dict[str, Any] = dict(given)
        for key_node, value_node in node.value:
            key = self.construct(key_node)
            label = f"{section}.{key}" if section else str(key)
            if key not in known:
                raise self.error(key_node, f"unknown key {label!r}; known keys: {', '.join(known)}")
            if key in values:
                raise self.error(key_node, f"{label} stands twice")
            values[key] = self.value(value_node, hints[key], label)
        required = [f for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
        for f in required:
            if f.name not in values:
                raise self.error(node, f"{f.name}: this section is missing")
        try:
            return kind(**values)
        except SettingsError as error:
            raise self.error(node, str(error)) from None

    def architecture(self, node: yaml.MappingNode, section: str) -> type[ModelConfig]:
        """The settings that the model of a section has; without a name those of gpt2."""
        for key_node, value_node in node.value:
            if key_node.value == "name":
                name = self.value(value_node, str, f"{section}.name")
                try:
                    return config_class(name)
                except SettingsError as error:
                    raise self.error(value_node, str(error)) from None
        return config_class("gpt2")

    def value(self, node: yaml.Node, hint: Any, label: str) -> Any:
        """The value of a node, of the type that the field's hint asks for."""
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self.read(node, hint, label)
        value = self.construct(node)
        if hint is float:
            # YAML 1.1 reads 1e-3, without a point, as text.
            if isinstance(value, str | int) and not isinstance(value, bool):
                try:
                    value = float(value)
                except ValueError:
                    raise self.error(node, f"{label} must be a number, found {value!r}") from None
            if isinstance(value, float) and not math.isfinite(value):
                raise self.error(node, f"{label} must be finite, found {value}")
            expected: Any = float
        elif isinstance(hint, types.UnionType):  # data.datasets
            if isinstance(value, str):
                return None if value == "all" else value
            return self.items(node, value, str, label, "`all`, a mixture such as jsb:3+custom, or a list of names")
        elif typing.get_origin(hint) is tuple:
            kind = typing.get_args(hint)[0]
            expected = {int: "a list of whole numbers", float: "a list of numbers", str: "a list of names"}[kind]
            if kind is float and isinstance(value, list):
                value = [float(item) if type(item) is int else item for item in value]
            return self.items(node, value, kind, label, expected, may_be_empty=True)
        elif typing.get_origin(hint) is dict:
            if not isinstance(value, dict) or not isinstance(value.get("name"), str):
                raise self.error(node, f"{label} needs `name:` and may have options, found {value!r}")
            return value
        else:
            expected = hint
        if type(value) is not expected:
            names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
            raise self.error(node, f"{label} must be {names[expected]}, found {value!r}")
        return value

    def items(
        self, node: yaml.Node, value: Any, kind: type, label: str, expected: str, *, may_be_empty: bool = False
    ) -> tuple:
        """A list of one type."""
        if not isinstance(value, list) or not (value or may_be_empty) or any(type(item) is not kind for item in value):
            raise self.error(node, f"{label} must be {expected}, found {value!r}")
        return tuple(value)

    def construct(self, node: yaml.Node) -> Any:
        """Plain Python values of a node, as yaml.safe_load makes them."""
        try:
            return yaml.constructor.SafeConstructor().construct_document(node)
        except yaml.YAMLError as error:
            raise self.error(node, f"not a plain value: {error}") from None

    def error(self, node: yaml.Node, message: str) -> SettingsError:
        """What is wrong, with file and line."""
        return SettingsError(f"{self.path}:{node.start_mark.line + 1}: {message}")
