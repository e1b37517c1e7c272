import re
from pathlib import Path

import pytest

from pianogen.errors import SettingsError
from pianogen.settings import CheckpointLimits, SplitPolicy, load_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "pianogen.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_stand_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.root == tmp_path
    assert settings.lake == tmp_path / "data/lake"
    assert settings.warehouse == tmp_path / "warehouse/pianogen.duckdb"
    assert (settings.backend, settings.workers, settings.starter) == ("processes", 0, True)
    assert settings.num_workers >= 1
    (custom,) = settings.folders
    assert (custom.name, custom.folder, custom.split) == ("custom", tmp_path / "data/custom", "train")


def test_an_empty_file_means_the_same_as_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_settings(write(tmp_path, "")) == load_settings()


def test_the_shipped_file_spells_out_the_defaults(tmp_path):
    shipped = Path(__file__).resolve().parents[1] / "pianogen.toml"
    assert load_settings(write(tmp_path, shipped.read_text())) == load_settings(write(tmp_path, ""))


def test_paths_are_relative_to_the_file_wherever_one_stands(tmp_path, monkeypatch):
    (tmp_path / "project/deep").mkdir(parents=True)
    path = write(tmp_path / "project", 'lake = "here"\nruns = "/else/where"\n[datasets.mine]\nfolder = "../music"\n')
    monkeypatch.chdir(tmp_path / "project/deep")
    found = load_settings()
    assert found == load_settings(path) == load_settings(Path("..") / "pianogen.toml")
    assert found.lake == tmp_path / "project/here"
    assert found.runs == Path("/else/where")
    assert found.folders[0].folder.resolve() == tmp_path / "music"


def test_the_nearest_file_wins(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    write(tmp_path, "workers = 1")
    write(tmp_path / "inner", "workers = 2")
    monkeypatch.chdir(tmp_path / "inner")
    assert load_settings().num_workers == 2


def test_every_key_is_read(tmp_path):
    settings = load_settings(
        write(
            tmp_path,
            'lake="a"\nruns="b"\nwarehouse="c"\nreport="d"\nsql="e"\nexperiments="f"\ndata_cards="i"\n'
            'workers=3\nbackend="threading"\nstarter=false\n'
            '[datasets.my-set_2]\nfolder="g"\nsplit="test"\nlicence="CC0"\n[datasets.other]\nfolder="h"\n',
        )
    )
    places = ("lake", "runs", "warehouse", "report", "sql", "experiments", "data_cards")
    assert [getattr(settings, name) for name in places] == [tmp_path / letter for letter in "abcdefi"]
    assert (settings.num_workers, settings.backend, settings.starter) == (3, "threading", False)
    assert [(f.name, f.folder, f.split, f.licence) for f in settings.folders] == [
        ("my-set_2", tmp_path / "g", "test", "CC0"),
        ("other", tmp_path / "h", "auto", "not stated"),
    ]


def test_a_catalogued_dataset_needs_no_folder_and_what_is_not_said_stays_open(tmp_path):
    settings = load_settings(write(tmp_path, "[datasets.asap]\nsplit = 'test'\n[datasets.jsb]\nfolder = 'x'\n"))
    assert [(f.name, f.folder, f.split, f.parts, f.licence) for f in settings.folders] == [
        ("asap", None, "test", None, None),
        ("jsb", tmp_path / "x", None, None, None),
    ]


def test_no_datasets_is_a_choice(tmp_path):
    assert load_settings(write(tmp_path, "[datasets]")).folders == ()


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "laek = 'x'",
            "unknown key 'laek'; known keys: backend, checkpoints, data_cards, datasets, download, experiments, lake,",
        ),
        ("workers = 'two'", "workers must be int, found 'two'"),
        ("workers = true", "workers must be int, found True"),
        ("workers = 1.5", "workers must be int, found 1.5"),
        ("workers = -1", "workers must be 0 (one per core) or more, found -1"),
        ("backend = 'dask'", "backend must be processes, threading or ray, found 'dask'"),
        ("backend = 1", "backend must be str, found 1"),
        ("starter = 'yes'", "starter must be bool, found 'yes'"),
        ("lake = 3", "lake must be a path in quotes, found 3"),
        ("datasets = 'music'", "[datasets.NAME] tables expected, found 'music'"),
        ("datasets = ['music']", "[datasets.NAME] tables expected, found ['music']"),
        ("[datasets.mine]", '[datasets.mine]: needs folder = "PATH"'),
        ("[datasets.mine]\nfolder = 1", '[datasets.mine]: needs folder = "PATH"'),
        ("[datasets]\nmine = 'x'", '[datasets.mine]: needs folder = "PATH"'),
        ("[datasets.mine]\nfolder = 'x'\nspilt = 'test'", "[datasets.mine]: unknown key 'spilt'; known keys: folder,"),
        ("[datasets.mine]\nfolder = 'x'\nsplit = 'dev'", "[datasets.mine]: split must be one of auto, train,"),
        ("[datasets.mine]\nfolder = 'x'\nsplit = ['test']", "[datasets.mine]: split must be one of auto, train,"),
        ("[datasets.mine]\nfolder = 'x'\nlicence = 4", "[datasets.mine]: licence must be text in quotes, found 4"),
        (
            "[datasets.mine]\nfolder = 'x'\nparts = 'left'",
            "[datasets.mine]: parts must be one of all, piano, found 'left'",
        ),
        ("[datasets.mine]\nfolder = 'x'\nmetadata = 'x'", "[datasets.mine]: metadata must be one of asap, giantmidi,"),
        (
            "[datasets.mine]\nfolder = 'x'\nfollow_links = 1",
            "[datasets.mine]: follow_links must be true or false, found 1",
        ),
        (
            "[datasets.mine]\nfolder = 'x'\nnon_commercial = 'no'",
            "[datasets.mine]: non_commercial must be true or false, found 'no'",
        ),
        ("[datasets.jsb]\nnon_commercial = false", "[datasets.jsb]: unknown key 'non_commercial'; known keys: folder,"),
        (
            "[datasets.jsb]\nlicence = 'x'",
            "[datasets.jsb]: unknown key 'licence'; known keys: folder, follow_links, parts,",
        ),
        ("[datasets.jsb]\nfolder = 1", '[datasets.jsb]: needs folder = "PATH"'),
        ("[datasets.'My Music']\nfolder = 'x'", "[datasets.My Music]: a dataset's name has only a-z, 0-9, _ and -"),
        ("[datasets.'']\nfolder = 'x'", "[datasets.]: a dataset's name has only a-z, 0-9, _ and -"),
        ("workers =", "not valid TOML: Invalid value (at end of document)"),
        ("workers = 1\nworkers = 2", "not valid TOML: Cannot overwrite a value"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(SettingsError, match=re.escape(f"{path}: {message}")):
        load_settings(path)


@pytest.mark.parametrize(
    "said, forbids",
    [
        ("licence = 'CC BY-NC-SA 4.0'", True),
        ("licence = 'cc-by-nc-4.0'", True),
        ("licence = 'https://creativecommons.org/licenses/by-nc/4.0/'", True),
        ("licence = 'Creative Commons Attribution-NonCommercial 4.0'", True),
        ("licence = 'CC BY-SA 4.0'", False),
        ("licence = 'CC0'", False),
        ("licence = 'Encoded by NCSA; CC BY 4.0'", False),
        ("", False),
        ("licence = 'ours'\nnon_commercial = true", True),
        ("licence = 'CC BY-NC 4.0'\nnon_commercial = false", False),
    ],
)
def test_a_licence_forbids_commercial_use_by_its_name_unless_the_file_says(tmp_path, said, forbids):
    (folder,) = load_settings(write(tmp_path, f"[datasets.mine]\nfolder = 'x'\n{said}\n")).folders
    assert folder.non_commercial is forbids


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"absent.toml: no such settings file; pass --config"):
        load_settings(tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match=f"{tmp_path}: cannot be read: Is a directory"):
        load_settings(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"lake = '\xe9'")
    with pytest.raises(SettingsError, match=r"latin.toml: not valid TOML: 'utf-8' codec"):
        load_settings(tmp_path / "latin.toml")


def test_the_split_policy_is_read_and_whole_numbers_are_fractions_too(tmp_path):
    text = (
        '[splits]\nvalidation_fraction = 0\ntest_fraction = 0.25\nsalt = "v2"\npublished = "ignore"\nkeep = "one"\n'
        'group_works = false\ngroup_shared_melodies = true\nearlier = "ignore"\nmax_group = 20\n'
    )
    assert load_settings(write(tmp_path, text)).splits == SplitPolicy(
        validation_fraction=0.0,
        test_fraction=0.25,
        salt="v2",
        published="ignore",
        keep="one",
        group_works=False,
        group_shared_melodies=True,
        earlier="ignore",
        max_group=20,
    )


@pytest.mark.parametrize(
    "line, message",
    [
        ("splits = 3", r"\[splits\]: a table expected, found 3"),
        ("[splits]\nsize = 1", r"\[splits\]: unknown key 'size'; known keys: earlier, group_shared_melodies"),
        ('[splits]\npublished = "yes"', r"\[splits\]: published must be one of keep, ignore, found 'yes'"),
        ('[splits]\nkeep = "none"', r"\[splits\]: keep must be one of all, one, found 'none'"),
        ('[splits]\nearlier = ""', r"\[splits\]: earlier must be one of keep, ignore, found ''"),
        ("[splits]\nsalt = 1", r"\[splits\]: salt must be str, found 1"),
        ("[splits]\ngroup_works = 1", r"\[splits\]: group_works must be bool, found 1"),
        ("[splits]\nmax_group = true", r"\[splits\]: max_group must be int, found True"),
        ("[splits]\nmax_group = -1", r"\[splits\]: max_group must be 0 \(no limit\) or more, found -1"),
        ("[splits]\ntest_fraction = true", r"\[splits\]: test_fraction must be float, found True"),
        ("[splits]\ntest_fraction = nan", r"\[splits\]: held-out fractions must be .* found 0.1 and nan"),
        ("[splits]\ntest_fraction = 1", r"\[splits\]: held-out fractions must be .* found 0.1 and 1.0"),
    ],
)
def test_a_split_policy_that_cannot_be_meant_is_refused(tmp_path, line, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, line))


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (0.9, 0.2)])
def test_shares_that_leave_no_train_are_refused(validation, test):
    with pytest.raises(SettingsError, match=f"found {validation} and {test}"):
        SplitPolicy(validation_fraction=validation, test_fraction=test)


def test_limits_of_checkpoints_are_read_and_0_is_none(tmp_path):
    text = "[checkpoints]\nmax_gb_per_experiment = 1.5\nmax_gb = 0\n"
    assert load_settings(write(tmp_path, text)).checkpoints == CheckpointLimits(max_gb_per_experiment=1.5, max_gb=0.0)
    assert load_settings(write(tmp_path, "")).checkpoints == CheckpointLimits(
        max_gb_per_experiment=20.0, max_gb=100.0, min_free_gb=1.0
    )


@pytest.mark.parametrize(
    "line, message",
    [
        ("max_gb = -1", r"\[checkpoints\]: max_gb must be 0 or more, found -1\.0"),
        ("min_free_gb = nan", r"\[checkpoints\]: min_free_gb must be 0 or more, found nan"),
        ('max_gb = "20"', r"\[checkpoints\]: max_gb must be float, found '20'"),
        ("most = 1", r"\[checkpoints\]: unknown key 'most'; known keys: max_gb, max_gb_per_experiment, min_free_gb"),
    ],
)
def test_limits_of_checkpoints_that_cannot_be_meant_are_refused(tmp_path, line, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, f"[checkpoints]\n{line}\n"))
