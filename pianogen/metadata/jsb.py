"""The JSB chorales: the split stands in the member's name, `Jsb16thSeparated.json/train/000`."""

from collections import Counter
from collections.abc import Sequence

from pianogen.catalogue import Dataset, SourceFile
from pianogen.chorales import member_name
from pianogen.metadata.findings import FileFacts, Findings, Notes, split_of


def read(dataset: Dataset, files: Sequence[SourceFile], notes: Notes) -> Findings:
    """Composer and split of each chorale; a split that has not as many as were published is noted."""
    facts: dict[str, FileFacts] = {}
    counts: Counter[str] = Counter()
    for file in files:
        parts = file.name.split("/")
        if file.data is None or len(parts) < 3:
            notes.add("a file without chorales", file.name)
            continue
        counts[parts[-2]] += 1
        split = split_of(parts[-2], notes, file.name)
        facts[file.name] = FileFacts(composer="Johann Sebastian Bach", published_split=split, kind="score")
    for split, published in dataset.published_splits.items():
        if files and counts[split] != published:
            notes.add(f"split {split!r} has {counts[split]} chorales, {published} were published")
    return Findings(facts=facts)


def expected_paths(dataset: Dataset, notes: Notes) -> list[str] | None:
    """The members that a file with the published counts has."""
    return [
        f"{dataset.pattern}/{member_name(split, number)}"
        for split, published in dataset.published_splits.items()
        for number in range(published)
    ] or None
