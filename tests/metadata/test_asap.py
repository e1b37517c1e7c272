import csv

import pytest
from readings import catalogued, known, missing, read, write

HEADER = "composer,title,midi_score,midi_performance,maestro_midi_performance,start,end\n"
FOLDER = "Bach/Fugue/bwv_846"
ROWS = (
    f"Bach,Fugue_bwv_846,{FOLDER}/midi_score.mid,{FOLDER}/Shi05M.mid,{{maestro}}/2006/a.midi,144.5,\n"
    f"Bach,Fugue_bwv_846,{FOLDER}/midi_score.mid,{FOLDER}/LEE_K01.mid,,,\n"
    f"Bach,Fugue_bwv_846,{FOLDER}/midi_score.mid,{FOLDER}/Whole03M.mid,{{maestro}}/2008/b.midi,None,\n"
)
FILES = {f"{FOLDER}/{name}.mid": b"" for name in ("midi_score", "Shi05M", "LEE_K01", "Whole03M")}
PIECE = {"title": "Fugue_bwv_846", "composer": "Bach", "work": "Fugue_bwv_846"}


@pytest.mark.parametrize("root", ["", "asap-dataset-4097b457/"])
def test_performances_scores_and_maestro_are_linked(tmp_path, root):
    write(tmp_path, {root + name: content for name, content in {**FILES, "metadata.csv": HEADER + ROWS}.items()})
    dataset = catalogued("asap", tmp_path)
    metadata = read(dataset)
    assert metadata.notes == ()
    facts = {path.rpartition("/")[2]: row for path, row in known(metadata).items()}
    assert facts == {
        "midi_score.mid": {**PIECE, "kind": "score"},
        "Shi05M.mid": {**PIECE, "kind": "performance", "performer": "Shi", "year": 2006},
        "LEE_K01.mid": {**PIECE, "kind": "performance", "performer": "LEE_K"},
        "Whole03M.mid": {**PIECE, "kind": "performance", "performer": "Whole", "year": 2008},
    }
    links = metadata.links.to_pylist()
    assert {link["dataset"] for link in links} == {"asap"}
    assert [tuple(link.values())[1:] for link in links if link["linked_dataset"] == "maestro_v2"] == [
        (f"{root}{FOLDER}/Shi05M.mid", "maestro_v2", "2006/a.midi", "excerpt_of", 144.5, None),
        (f"{root}{FOLDER}/Whole03M.mid", "maestro_v2", "2008/b.midi", "copy_of", None, None),
    ]
    assert [link["linked_path"] for link in links if link["linked_dataset"] == "maestro_v3"] == [
        "2006/a.midi",
        "2008/b.midi",
    ]
    assert [(link["path"], link["linked_path"]) for link in links if link["relation"] == "score_of"] == [
        (f"{root}{FOLDER}/midi_score.mid", f"{FOLDER}/{name}.mid") for name in ("Shi05M", "LEE_K01", "Whole03M")
    ]
    assert missing(dataset) == ()


def test_what_is_missing_is_listed_performances_first(tmp_path):
    write(tmp_path, {f"{FOLDER}/Shi05M.mid": b"", "metadata.csv": HEADER + ROWS})
    assert missing(catalogued("asap", tmp_path)) == tuple(
        f"{FOLDER}/{name}.mid" for name in ("LEE_K01", "Whole03M", "midi_score")
    )


@pytest.mark.parametrize(
    "old, new, note",
    [
        ("144.5", "soon", "a time that is not in seconds: metadata.csv line 2: 'soon'"),
        ("144.5", "inf", "a time that is not in seconds: metadata.csv line 2: 'inf'"),
        ("144.5,", "144.5,3", "an excerpt that ends before it begins: metadata.csv line 2: 144.5 to 3 s"),
        (
            "{maestro}/2006",
            "../2006",
            "a link to MAESTRO that does not begin with {maestro}/: metadata.csv line 2: ../",
        ),
        ("midi_score,", "score,", "metadata.csv: no column midi_score; found: composer, title, score,"),
    ],
)
def test_broken_metadata_are_told(tmp_path, old, new, note):
    write(tmp_path, {**FILES, "metadata.csv": (HEADER + ROWS).replace(old, new, 1)})
    metadata = read(catalogued("asap", tmp_path))
    assert [said for said in metadata.notes if said.startswith(note)], metadata.notes
    assert metadata.sources.num_rows == 4


def test_without_a_csv_files_are_listed_and_the_lack_is_told(tmp_path):
    write(tmp_path, FILES)
    dataset = catalogued("asap", tmp_path)
    metadata = read(dataset)
    assert metadata.notes[0].startswith("metadata.csv is not in the dataset's folder")
    assert (metadata.sources.num_rows, metadata.links.num_rows, missing(dataset)) == (4, 0, None)


def test_the_real_links_lead_to_the_files_that_are_cut_out_of_maestro(real_data, tmp_path):
    dataset = catalogued("asap", real_data / "asap")
    metadata = read(dataset)
    assert [note.split(":")[0] for note in metadata.notes] == ["a row names a file that is not here (1049 times)"]
    absent = missing(dataset)
    assert absent is not None
    assert metadata.sources.num_rows + len(absent) == dataset.num_files == 1308
    relation_of = {
        (f"asap/{link['path']}", f"maestro/{link['linked_path']}"): link["relation"]
        for link in metadata.links.to_pylist()
        if link["linked_dataset"] == "maestro_v2"
    }
    with (real_data / "known_pairs.csv").open(encoding="utf-8") as file:
        pairs = [
            (row["path_a"], row["path_b"], row["relation"])
            for row in csv.DictReader(file)
            if row["path_a"].startswith("asap/") and row["path_b"].startswith("maestro/")
        ]
    excerpts = [(a, b) for a, b, relation in pairs if relation == "excerpt_of"]
    copies = [(a, b) for a, b, relation in pairs if relation == "exact_copy"]
    assert excerpts
    assert {relation_of.get(pair) for pair in excerpts} == {"excerpt_of"}
    assert copies
    assert {relation_of.get(pair) for pair in copies} == {"copy_of"}
