import dataclasses
from pathlib import Path

import pytest
import yaml

from pianogen.augment import AugmentConfig
from pianogen.errors import SettingsError
from pianogen.models.configs import Gpt2Config
from pianogen.training.experiment import experiment_file, find_experiments, list_experiments, load_experiment

PROJECT = Path(__file__).resolve().parents[2]

WHOLE = """\
description: all keys
data:
  datasets: [bach, custom]
tokenizer:
  name: remi
  num_velocities: 16
augmentation:
  semitones: [-1, 0, 1]
model:
  name: gpt2
  n_layer: 2
training:
  steps: 10
  learning_rate: 1e-3
generation:
  temperature: 1
"""


def written(folder: Path, text: str, name: str = "one.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_every_section_of_a_file_reaches_the_settings(tmp_path):
    config = load_experiment(written(tmp_path, WHOLE))
    assert config.name == "one"
    assert config.data.datasets == ("bach", "custom")
    assert config.tokenizer == {"name": "remi", "num_velocities": 16}
    assert config.augmentation == AugmentConfig(semitones=(-1, 0, 1))
    assert config.model == Gpt2Config(n_layer=2)
    assert (config.training.steps, config.training.learning_rate) == (10, 0.001)
    assert config.generation.temperature == 1.0


def test_loggers_may_be_none_or_some(tmp_path):
    for text, loggers in (("[]", ()), ("[wandb, tensorboard]", ("wandb", "tensorboard"))):
        config = load_experiment(written(tmp_path, WHOLE.replace("  steps: 10", f"  steps: 10\n  loggers: {text}")))
        assert config.training.loggers == loggers


def test_a_mixture_is_names_with_weights(tmp_path):
    data = load_experiment(written(tmp_path, WHOLE.replace("[bach, custom]", "jsb:3+custom"))).data
    assert data.weights == {"jsb": 3.0, "custom": 1.0}
    assert data.names == ("jsb", "custom")
    assert load_experiment(written(tmp_path, WHOLE)).data.weights is None


def test_augmentation_may_name_every_kind_of_copy(tmp_path):
    text = "[0, 12]\n  stretches: [0.9, 1]\n  pedals: [kept, sounded]\n  copies: 3\n  while_loading: true"
    augment = load_experiment(written(tmp_path, WHOLE.replace("[-1, 0, 1]", text))).augmentation
    assert augment == AugmentConfig(
        semitones=(0, 12), stretches=(0.9, 1.0), pedals=("kept", "sounded"), copies=3, while_loading=True
    )


def test_all_datasets_is_told_from_a_list_of_names(tmp_path):
    text = "data:\n  datasets: all\nmodel: {}\ntraining: {}\n"
    assert load_experiment(written(tmp_path, text)).data.datasets is None


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("  steps: 10", "  stepz: 10", r"one\.yaml:13: unknown key 'training\.stepz'; known keys: steps"),
        ("description:", "descripton:", r"one\.yaml:1: unknown key 'descripton'"),
        ("  steps: 10", "  steps: ten", r"one\.yaml:13: training\.steps must be a whole number, found 'ten'"),
        ("  steps: 10", "  steps: 1.5", r"one\.yaml:13: training\.steps must be a whole number, found 1\.5"),
        ("  steps: 10", "  steps: true", r"one\.yaml:13: training\.steps must be a whole number, found True"),
        ("  steps: 10", "  steps: 10\n  steps: 11", r"one\.yaml:14: training\.steps stands twice"),
        ("  steps: 10", "  steps: 0", r"one\.yaml:13: training\.steps must be 1 or more, found 0"),
        ("1e-3", "fast", r"one\.yaml:14: training\.learning_rate must be a number, found 'fast'"),
        ("1e-3", ".nan", r"one\.yaml:14: training\.learning_rate must be finite, found nan"),
        ("[bach, custom]", "[1]", r"one\.yaml:3: data\.datasets must be `all`, a mixture such as .*, found \[1\]"),
        ("[bach, custom]", "all+custom", r"one\.yaml:3: data\.datasets: a mixture names its datasets one by one"),
        ("[bach, custom]", "bach:20000+custom", r"one\.yaml:3: data\.datasets: a weight is less than 1 in 16,384"),
        ("[bach, custom]", "bach:0+custom", r"one\.yaml:3: data\.datasets: a mixture is names with a \+ between them"),
        (
            "[-1, 0, 1]",
            "[0]\n  stretches: [1, fast]",
            r"one\.yaml:9: augmentation\.stretches must be a list of numbers",
        ),
        ("[-1, 0, 1]", "[0]\n  pedals: [off]", r"one\.yaml:9: augmentation\.pedals must be a list of names, found"),
        ("[-1, 0, 1]", "[0]\n  while_loading: 1", r"one\.yaml:9: augmentation\.while_loading must be true or false"),
        ("  steps: 10", "  sample_every: -1", r"one\.yaml:\d+: training\.sample_every must be 0 or more, found -1"),
        (
            "  steps: 10",
            "  loggers: [wandb, csv]",
            r"one\.yaml:\d+: training\.loggers must be among tensorboard, wandb",
        ),
        (
            "  steps: 10",
            "  loggers: [mlflow, mlflow]",
            r"training\.loggers must be among .*, each once, found \['mlflow",
        ),
        ("  steps: 10", "  loggers: wandb", r"one\.yaml:\d+: training\.loggers must be a list of names, found 'wandb'"),
        ("[bach, custom]", "[]", r"one\.yaml:3: data\.datasets must be `all`, a mixture"),
        ("  steps: 10", "  view: packed", r"one\.yaml:\d+: training\.view must be one of .*, found 'packed'"),
        (
            "  steps: 10",
            "  optimizer: sgd",
            r"one\.yaml:\d+: training\.optimizer must be one of adamw, muon, found 'sgd'",
        ),
        ("  steps: 10", "  context_length: 999999", r"one\.yaml:\d*:? ?training\.context_length must be at most that"),
        ("  steps: 10", "  ema: 1", r"one\.yaml:\d+: training\.ema must be at least 0 and below 1, found 1\.0"),
        ("  steps: 10", "  dropout_end: 1.5", r"one\.yaml:\d+: training\.dropout_end must lie in 0-1, found 1\.5"),
        (
            "  steps: 10",
            "  dropout_end: 0\n  compile: true",
            r"compile anew at every step, where training\.drop",
        ),
        ("  steps: 10", "  patience: -1", r"one\.yaml:\d+: training\.patience must be 0 or more, found -1"),
        (
            "  steps: 10",
            "  precision: int8",
            r"training\.precision must be one of auto, fp32, bf16, fp16, found",
        ),
        ("  steps: 10", "  compile: 1", r"one\.yaml:13: training\.compile must be true or false, found 1"),
        (
            "  steps: 10",
            "  tokens_per_update: 9\n  gradient_accumulation_steps: 2",
            r"one\.yaml:\d+: training\.tokens_per_update decides .* leave out gradient_accumulation_steps, found 2",
        ),
        ("[-1, 0, 1]", "[1]", r"one\.yaml:8: augmentation\.semitones must be distinct and hold 0"),
        ("name: gpt2", "name: gpt9", r"one\.yaml:10: model\.name 'gpt9' is not known; known: gpt2"),
        ("  name: remi\n", "", r"one\.yaml:5: tokenizer needs `name:`"),
        ("n_layer: 2", "n_embd: 130", r"one\.yaml:10: model\.n_embd must be a multiple of n_head, found 130 and 4"),
        ("model:\n  name: gpt2\n  n_layer: 2\n", "", r"one\.yaml:1: model: this section is missing"),
        ("  steps: 10", "  validate_every: 15\n  checkpoint_every: 10", "must be a multiple of checkpoint_every"),
        (
            "  temperature: 1",
            "  top_p: 0",
            r"one\.yaml:16: generation\.top_p must be above 0 and at most 1, found 0\.0",
        ),
        ("  steps: 10", "  steps: [", r"one\.yaml: not valid YAML"),
        ("  steps: 10", "  steps: !!python/name:os.system", r"one\.yaml:13: not a plain value"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, old, new, message):
    assert old in WHOLE
    with pytest.raises(SettingsError, match=message):
        load_experiment(written(tmp_path, WHOLE.replace(old, new)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.yaml: no such experiment file"):
        load_experiment(tmp_path / "absent.yaml")


def test_names_that_break_addresses_are_refused(tmp_path):
    path = written(tmp_path, WHOLE, "My Run.yaml")
    with pytest.raises(SettingsError, match="only a-z, 0-9, _ and -"):
        load_experiment(path)
    with pytest.raises(SettingsError, match=r"My Run\.yaml"):
        list_experiments(tmp_path)


def test_experiments_are_listed_by_name(tmp_path):
    for name in ("b.yaml", "a-1.yaml", "notes.txt"):
        written(tmp_path, WHOLE, name)
    assert list_experiments(tmp_path) == ("a-1", "b")


def test_experiments_of_folders_are_found_by_name_and_not_listed(tmp_path):
    for folder, name in (("", "b"), ("study", "a"), ("study/reduced", "c")):
        (tmp_path / folder).mkdir(exist_ok=True)
        written(tmp_path / folder, WHOLE, f"{name}.yaml")
    assert list_experiments(tmp_path) == ("b",)
    assert list(find_experiments(tmp_path)) == ["b", "a", "c"]
    assert load_experiment(experiment_file(tmp_path, "c")).name == "c"
    with pytest.raises(SettingsError, match=r"absent\.yaml: no such experiment file"):
        load_experiment(experiment_file(tmp_path, "absent"))


def test_two_files_of_one_name_are_both_named(tmp_path):
    (tmp_path / "study").mkdir()
    first, second = written(tmp_path, WHOLE), written(tmp_path / "study", WHOLE)
    with pytest.raises(SettingsError, match=f"{second}: {first} has the same name, which is that of the experiment"):
        find_experiments(tmp_path)
    (tmp_path / "study" / "Two Words.yaml").write_text(WHOLE)
    second.unlink()
    with pytest.raises(SettingsError, match=r"Two Words\.yaml: an experiment's file name has only"):
        find_experiments(tmp_path)


def test_every_shipped_experiment_loads():
    found = find_experiments(PROJECT / "experiments")
    assert list_experiments(PROJECT / "experiments") == ("quick",)
    assert len(found) > 15
    for name, path in found.items():
        assert load_experiment(path).name == name


def test_settings_survive_the_way_through_a_file(tmp_path):
    config = load_experiment(written(tmp_path, WHOLE))
    sections = {k: v for k, v in dataclasses.asdict(config).items() if k != "name"}
    sections["data"]["datasets"] = list(sections["data"]["datasets"])
    sections["augmentation"]["semitones"] = list(sections["augmentation"]["semitones"])
    assert load_experiment(written(tmp_path, yaml.safe_dump(sections))) == config
