"""What the gate asks of a split: no pair that the policy wants on one side may stand in two splits.

The gate stands twice. The pipeline shows it as a blocking check; and whoever builds shards calls
`require_clean`, which refuses a split whose report is missing or belongs to another split, whose
performances were not all compared, or that parts a pair. It looks at the pairs themselves, not at what the
report says of them, and judges by the policy that the split was made with. Its certificate goes into the
shards and from there into every leaderboard row.
"""

from pianogen.dedupe.candidates import not_yet_compared
from pianogen.errors import ContaminationError
from pianogen.lake import Lake, digest
from pianogen.leakage import contaminated_pairs
from pianogen.splits import policy_of


def describe(row: dict) -> str:
    """One contaminated pair in words: both files, their splits, the relation and its evidence."""
    change = []
    if row["is_mirrored"]:
        change.append("mirrored on the keyboard")
    elif row["semitones"]:
        change.append(f"transposed by {row['semitones']:+d} semitones")
    if row["tempo_ratio"] and abs(row["tempo_ratio"] - 1) > 0.005:
        change.append(f"{row['tempo_ratio']:.2f} times as long")
    how = f" ({', '.join(change)})" if change else ""
    evidence = [f"score {row['score']:.2f}"]
    if row["coverage"] is not None:
        evidence.append(f"coverage {row['coverage']:.2f}")
    if row["residual_sec"] is not None:
        evidence.append(f"residual {row['residual_sec']:.3f} s")
    if row["num_anchors"]:
        evidence.append(f"{row['num_anchors']} anchors")
    return (
        f"{row['dataset_b']}/{row['path_b']} in {row['split_b']} is {row['relation']} of "
        f"{row['dataset_a']}/{row['path_a']} in {row['split_a']}{how}, {', '.join(evidence)}"
    )


def explain_shards(lake: Lake, leaks: list[dict]) -> str:
    """What the gate says of finished shards whose tokens hold one music in two splits.

    Args:
        lake: with `files`.
        leaks: rows of `shard_contamination`.
    """
    paths = {row["performance_id"]: row for row in lake.read("files").to_pylist() if row["performance_id"]}
    lines = []
    for row in leaks[:20]:
        named = {}
        for side in ("a", "b"):
            file = paths.get(row[f"performance_{side}"], {})
            named |= {
                f"dataset_{side}": file.get("dataset"),
                f"path_{side}": file.get("path", row[f"performance_{side}"]),
            }
        lines.append("  " + describe({**row, **named}))
    more = [f"  … and {len(leaks) - 20} more"] if len(leaks) > 20 else []
    pairs = "1 pair" if len(leaks) == 1 else f"{len(leaks)} pairs"
    return "\n".join(
        [
            f"decoded from the tokens of the shards, {pairs} of different splits:",
            *lines,
            *more,
            "The split itself is clean, so the tokenizer or the augmentation made them alike. "
            "Use another one, or leave these files out.",
        ]
    )


def require_clean(lake: Lake) -> str:
    """The certificate of the current split.

    Returns:
        Hash over the split's version, its policy and the version of its empty report.

    Raises:
        ContaminationError: music stands in two splits, and the pairs are named; or nobody knows whether it does.
        LakeError: there is no split yet, or no report of it.
    """
    splits = lake.require("splits")
    report = lake.require("contamination")
    if report.info.get("splits_version") != splits.version:
        raise ContaminationError("the contamination report belongs to another split; run the stage 'splits' again")
    if unseen := not_yet_compared(lake):
        raise ContaminationError(
            f"performances of {', '.join(unseen)} changed since they were compared with the others; find duplicate "
            "pairs, clusters and splits again (`pianogen dedupe`)"
        )
    rows = contaminated_pairs(lake, policy_of(splits)).to_pylist()
    if rows:
        shown = "\n".join(f"  {describe(row)}" for row in rows[:20])
        more = f"\n  … and {len(rows) - 20} more" if len(rows) > 20 else ""
        raise ContaminationError(
            f"{len(rows)} duplicate pair{'s stand' if len(rows) > 1 else ' stands'} in two splits:\n{shown}{more}\n"
            'Take the file out of the folder that is pinned to a split, or give that folder split = "auto" in '
            "pianogen.toml, so that it follows the music it copies."
        )
    return digest("certificate", splits.version, splits.info.get("policy"), report.version)
