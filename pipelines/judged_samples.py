"""What the asset `sample_judgements` says of the samples: each beside the base line, and what is copied from where."""

from typing import Any

from pianogen.lake import Lake, Manifest
from pipelines.showing import table

_MEASURES = (
    "copied_share", "longest_copy_sec", "cycle3_share", "repeated_8", "compression_ratio", "structure_short",
    "structure_mid", "pitch_class_entropy", "groove_consistency", "notes_per_sec",
)  # fmt: skip


def of_block(lake: Lake, manifest: Manifest) -> dict[str, Any]:
    """Tables of samples beside held-out music, of copied passages, and of distances.

    Args:
        lake: where they lie.
        manifest: of the judgements of one experiment.
    """
    tables = {name: lake.read_block(manifest.stage, manifest.blocks[0], name).to_pylist() for name in manifest.tables}
    judged = tables["sample_judgements"]
    samples, held_out = ([row for row in judged if row["source"] == source] for source in ("sample", "test"))
    lines = [[row["name"], row["num_notes"], *(row[name] for name in _MEASURES)] for row in samples]
    base = ["held out, mean", _mean(held_out, "num_notes"), *(_mean(held_out, name) for name in _MEASURES)]
    most = ["held out, most", _most(held_out, "num_notes"), *(_most(held_out, name) for name in _MEASURES)]
    copies = [row for row in tables["sample_copies"] if row["source"] == "sample"]
    return {
        "num_samples": len(samples),
        "num_held_out": len(held_out),
        "copied_share": _mean(samples, "copied_share"),
        "cycle_share": _mean(samples, "cycle3_share"),
        # The base line first: of a long list the beginning is shown.
        "samples": table(["sample", "num_notes", *_MEASURES], [base, most, *lines]),
        "copied_passages": table(
            ["sample", "from, sec", "to, sec", "notes", "dataset", "title", "there from, sec", "semitones", "tempo"],
            [
                [row[name] for name in ("name", "start_sec", "end_sec", "num_notes", "dataset", "title")]
                + [row["copied_start_sec"], row["semitones"], row["tempo_ratio"]]
                for row in sorted(copies, key=lambda row: -row["num_notes"])
            ],
            view="sample_copies",
        ),
        "distances": table(
            ["measure", "samples", "held out", "overlapping area", "divergence, nats"],
            [
                [row[name] for name in ("measure", "mean", "reference_mean", "overlapping_area", "kl_divergence")]
                for row in tables["sample_distances"]
            ],
            view="sample_distances",
        ),
    }


def _known(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [row[name] for row in rows if row[name] is not None]


def _mean(rows: list[dict[str, Any]], name: str) -> float | None:
    known = _known(rows, name)
    return sum(known) / len(known) if known else None


def _most(rows: list[dict[str, Any]], name: str) -> float | None:
    return max(_known(rows, name), default=None)
