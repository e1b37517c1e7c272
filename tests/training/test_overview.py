from builders import write_tiny_experiment

from pianogen.models import count_parameters
from pianogen.training.experiment import load_experiment
from pianogen.training.overview import experiments_overview


def test_each_experiment_is_told_with_its_size(tmp_path):
    (tmp_path / "later").mkdir()
    tiny = load_experiment(write_tiny_experiment(tmp_path))
    path = write_tiny_experiment(tmp_path / "later", "voices")
    path.write_text(path.read_text() + "data: {datasets: jsb:3+custom}\ntokenizer: {name: jsb}\n")
    first, second = experiments_overview(tmp_path).to_pylist()
    assert (first["experiment"], first["folder"], first["datasets"]) == ("tiny", None, "all")
    assert first["num_parameters"] == count_parameters(tiny.model, first["vocab_size"])
    assert (first["model"], first["n_layer"], first["n_embd"], first["steps"]) == ("gpt2", 1, 16, 30)
    assert (second["experiment"], second["folder"], second["datasets"]) == ("voices", "later", "jsb:3+custom")
    # 88 pitches, a rest, and the three that every scheme has.
    assert (second["tokenizer"], second["vocab_size"]) == ("jsb", 92)
    assert first["num_parameters"] - second["num_parameters"] == 16 * (first["vocab_size"] - 92)


def test_what_a_vocabulary_that_is_learned_later_makes_is_left_open(tmp_path):
    path = write_tiny_experiment(tmp_path)
    path.write_text(path.read_text() + "tokenizer: {name: note_chord}\n")
    (row,) = experiments_overview(tmp_path).to_pylist()
    assert (row["vocab_size"], row["num_parameters"]) == (None, None)
