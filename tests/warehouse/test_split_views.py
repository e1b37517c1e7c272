"""Views about pairs and splits, over a small lake written out: datasets a (with a published split) and b (without)."""

import pytest

MUSIC = """
    insert into files by name select * from (values
        ('a', '1.mid', 'p1'), ('a', '2.mid', 'p2'), ('a', '3.mid', 'p3'), ('b', '1.mid', 'q1'), ('b', '2.mid', 'q2')
    ) as v (dataset, path, performance_id);
    insert into sources by name select * from (values
        ('a', '1.mid', 'test'), ('a', '2.mid', 'train'), ('a', '3.mid', 'validation'),
        ('b', '1.mid', null), ('b', '2.mid', null)
    ) as v (dataset, path, published_split);
    insert into performances by name select performance_id, dataset, 3600.0 as duration_sec, 10 as num_notes from files;
    insert into clusters by name select * from (values
        ('p1', 'c1', null), ('p2', 'c1', 'excerpt'), ('p3', 'c3', null), ('q1', 'c1', 'same_bytes'), ('q2', 'c4', null)
    ) as v (performance_id, cluster_id, absorbed_by);
    insert into splits by name select * from (values
        ('p1', 'a', 'test'), ('p2', 'a', 'none'), ('p3', 'a', 'validation'), ('q1', 'b', 'test'), ('q2', 'b', 'train')
    ) as v (performance_id, dataset, split);
    insert into split_moves by name select * from (values
        ('p2', 'a', 'published', 'train', 'none', 'twin', 'p1', 'excerpt'),
        ('q1', 'b', 'drawn', 'train', 'test', 'twin', 'p1', 'same_bytes')
    ) as v (performance_id, dataset, compared_with, from_split, to_split, reason, because_of, relation);
    insert into duplicate_pairs by name select * from (values
        -- As a lake has them: by id, whatever dataset and path are.
        ('p1', 'q1', 'same_bytes', 1.0, 1.0, 1.0, 0, false, 1.0),
        ('p1', 'p2', 'excerpt', 0.9, 0.4, 1.0, -3, false, 1.25),
        ('p2', 'q1', 'excerpt', 0.9, 1.0, 0.4, 3, false, 0.8),
        ('p3', 'q2', 'shared_melody', 0.6, 0.5, 0.5, 127, true, 2.0)
    ) as v (performance_a, performance_b, relation, score, coverage_a, coverage_b, semitones, is_mirrored, tempo_ratio);
"""


@pytest.fixture
def music(database):
    database.execute(MUSIC)
    return database


def test_what_is_left_out_is_in_no_split(music):
    assert music.sql(
        "select split, dataset, num_performances, num_notes from hours_by_split order by all"
    ).fetchall() == [
        ("test", "a", 1, 10),
        ("test", "b", 1, 10),
        ("train", "b", 1, 10),
        ("validation", "a", 1, 10),
    ]


def test_a_pair_is_told_once_in_the_order_of_its_files_and_turned_round_where_it_must(music):
    # The other way about: q2 goes before p3 when b is called 0.
    for table in ("files", "sources", "performances", "splits"):
        music.execute(f"update {table} set dataset = '0' where dataset = 'b'")
    found = music.sql(
        "select dataset_a, path_a, dataset_b, path_b, coverage_a, coverage_b, semitones, tempo_ratio, is_same_cluster "
        "from pairs_with_files order by all"
    ).fetchall()
    assert found == [
        ("0", "1.mid", "a", "1.mid", 1.0, 1.0, 0, 1.0, True),
        ("0", "1.mid", "a", "2.mid", 0.4, 1.0, -3, 1.25, True),
        ("0", "2.mid", "a", "3.mid", 0.5, 0.5, 127, 0.5, False),
        ("a", "1.mid", "a", "2.mid", 0.4, 1.0, -3, 1.25, True),
    ]


def test_leaks_of_a_published_split_are_pairs_of_one_dataset_and_say_whether_ours_mends_them(music):
    wanted = "dataset, path_a, published_split_a, path_b, published_split_b, relation, coverage_b, is_mended"
    query = f"select {wanted} from split_leaks_published"
    assert music.sql(query).fetchall() == [("a", "1.mid", "test", "2.mid", "train", "excerpt", 1.0, True)]
    music.execute("update splits set split = 'train' where performance_id = 'p2'")
    assert music.sql("select is_mended from split_leaks_published").fetchall() == [(False,)]


def test_the_matrix_counts_pairs_and_performances_by_standing_dataset_and_split(music):
    wanted = "standing, dataset_a, split_a, dataset_b, split_b, relation, is_across, num_pairs"
    assert music.sql(f"select {wanted} from contamination_matrix order by all").fetchall() == [
        ("ours", "a", "test", "b", "test", "same_bytes", False, 1),
        ("ours", "a", "validation", "b", "train", "shared_melody", True, 1),
        ("published", "a", "test", "a", "train", "excerpt", True, 1),
    ]


def test_leakage_of_the_published_split_stands_beside_that_of_ours(music):
    wanted = "standing, split, other_split, num_held_out, num_leaking, share_leaking, num_pairs"
    assert music.sql(f"select {wanted} from split_leakage where dataset = 'a' order by all").fetchall() == [
        ("ours", "test", "train", 1, 0, 0.0, 0),
        ("ours", "test", "validation", 1, 0, 0.0, 0),
        ("ours", "validation", "train", 1, 0, 0.0, 0),
        ("published", "test", "train", 1, 1, 1.0, 1),
        ("published", "test", "validation", 1, 0, 0.0, 0),
        ("published", "validation", "train", 1, 0, 0.0, 0),
    ]
    assert music.sql("from split_leakage where dataset = 'b'").fetchall() == []


def test_each_tier_says_what_it_removes_and_all_up_to_it(music):
    wanted = "tier, num_removed, num_removed_so_far"
    found = {
        dataset: music.sql(f"select {wanted} from removed_by_tier where dataset = '{dataset}' order by tier").fetchall()
        for dataset in "ab"
    }
    assert found["a"] == [(0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 1, 1), (4, 0, 1), (5, 0, 1)]
    assert found["b"] == [(0, 1, 1), (1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 1), (5, 0, 1)]


def test_moves_are_counted_by_reason_and_told_with_their_files(music):
    assert music.sql("from split_moves_by_reason order by all").fetchall() == [
        ("a", "published", "train", "none", "twin", "excerpt", 1, 1.0),
        ("b", "drawn", "train", "test", "twin", "same_bytes", 1, 1.0),
    ]
    wanted = "dataset, path, from_split, to_split, because_of_dataset, because_of_path, relation"
    assert music.sql(f"select {wanted} from split_moves_with_files order by all").fetchall() == [
        ("a", "2.mid", "train", "none", "a", "1.mid", "excerpt"),
        ("b", "1.mid", "train", "test", "a", "1.mid", "same_bytes"),
    ]


def test_music_that_two_datasets_share_is_counted_whatever_split_it_stands_in(music):
    assert music.sql("from datasets_sharing_music order by relation").fetchall() == [
        ("a", "b", "excerpt", 1, 1, 1),
        ("a", "b", "same_bytes", 1, 1, 1),
        ("a", "b", "shared_melody", 1, 1, 1),
    ]


# As in POP909, where songs 017 and 018 are one: two works of a dataset in one cluster, and a copy elsewhere.
TWICE = """
    insert into files by name select * from (values
        ('pop', '017.mid', 's1'), ('pop', '018.mid', 's2'), ('pop', '018-v1.mid', 's3'), ('mine', 'x.mid', 's4'),
        ('pop', '019.mid', 's5')
    ) as v (dataset, path, performance_id);
    insert into sources by name select * from (values
        ('pop', '017.mid', 'Song', 'Song'), ('pop', '018.mid', 'Sòng', 'Sòng'), ('pop', '018-v1.mid', 'Sòng', 'Sòng'),
        ('mine', 'x.mid', null, null), ('pop', '019.mid', 'Other', 'Other')
    ) as v (dataset, path, title, work);
    insert into performances by name select performance_id, dataset from files;
    insert into splits by name select performance_id, dataset, 'train' as split from files;
    insert into clusters by name select * from (values
        ('s1', 'c', 4, false), ('s2', 'c', 4, true), ('s3', 'c', 4, false), ('s4', 'c', 4, false), ('s5', 'd', 1, true)
    ) as v (performance_id, cluster_id, cluster_size, is_representative);
"""


def test_a_cluster_says_how_many_works_a_dataset_takes_it_for(database):
    database.execute(TWICE)
    wanted = "cluster_size, dataset, path, title, datasets, splits, num_works, works"
    assert database.sql(f"select {wanted} from cluster_summaries").fetchall() == [
        (4, "pop", "018.mid", "Sòng", ["mine", "pop"], ["train"], 2, ["Song", "Sòng"])
    ]
    assert database.sql("select path, is_representative from clusters_with_files order by path").fetchall() == [
        ("017.mid", False), ("018-v1.mid", False), ("018.mid", True), ("x.mid", False),
    ]  # fmt: skip


def test_a_cluster_whose_representative_has_no_title_takes_that_of_another(database):
    database.execute(TWICE)
    database.execute("update sources set title = null where path like '018%'")
    assert database.sql("select title from cluster_summaries").fetchall() == [("Song",)]


def test_clusters_are_counted_by_the_members_of_each_dataset(database):
    database.execute(TWICE)
    assert database.sql("from clusters_by_dataset order by dataset").fetchall() == [
        ("mine", 1, 1, 0, 0, 1, 1),
        ("pop", 4, 2, 1, 3, 3, 1),
    ]


def test_titles_in_several_published_splits_say_whether_they_are_the_same_music(music):
    assert music.sql("from titles_across_splits").fetchall() == [], "no titles, no row"
    music.execute("update sources set composer = 'Mozart', title = 'Sonata in F' where path in ('1.mid', '2.mid')")
    # Another dataset's equal title, and one of the file's own, are no reason.
    music.execute("update performances set title = 'Sonata in F'")
    assert music.sql("from titles_across_splits").fetchall() == [("a", "Mozart", "Sonata in F", 1, 0, 1, 1)]
    music.execute("update duplicate_pairs set relation = 'shared_melody'")
    assert music.sql("select num_pairs from titles_across_splits").fetchall() == [(0,)]
    music.execute("update sources set composer = 'Haydn' where path = '1.mid'")
    assert music.sql("from titles_across_splits").fetchall() == []
