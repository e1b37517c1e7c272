"""The command about tokenizers: what each loses, and how many tokens it takes."""

from enum import StrEnum
from typing import Annotated

import typer

from pianogen.cli.rows import Format, print_rows
from pianogen.cli.shared import Config, app, progress_bar, published
from pianogen.errors import SettingsError
from pianogen.settings import load_settings


class Split(StrEnum):
    """Which music counts."""

    all = "all"
    train = "train"
    validation = "validation"
    test = "test"


_QUERY = """
    select
        trips.tokenizer, trips.dataset,
        trips.num_performances as performances, trips.num_notes as notes,
        trips."precision", trips.recall, trips.f1, trips.pitch_f1,
        trips.onset_error_ms, trips.duration_error_ms, trips.velocity_error,
        trips.tokens_per_note, test.unknown_token_rate as unknown_on_test, trips.num_unencodable as unencodable
    from tokenizer_round_trips as trips
    left join tokenizer_round_trips as test
        on test.split = 'test' and trips.tokenizer = test.tokenizer and trips.dataset = test.dataset
    where trips.split = {split}{where}
    order by trips.dataset, trips.f1 desc, trips.tokens_per_note, trips.tokenizer"""


@app.command(epilog="Example: pianogen tokenizers --dataset maestro_v3 --split test")
def tokenizers(
    dataset: Annotated[list[str] | None, typer.Option(help="Of this one alone; may be repeated.")] = None,
    split: Annotated[Split, typer.Option(help="Which music counts.")] = Split.all,
    config: Config = None,
    format: Format = Format.table,
) -> None:
    """Tell what each tokenizer loses when music is encoded and decoded, by dataset, and how many tokens it takes.

    What was not measured yet is measured first: every tokenizer of pianogen, and those under [tokenizers] in the
    settings. docs/tokenizers/round-trip.md defines the columns.
    """
    from pianogen.lake import Lake
    from pianogen.round_trips.build import measure_round_trips
    from pianogen.views import quoted

    settings = load_settings(config)
    lake = Lake(settings.lake)
    known = [manifest.partition for manifest in lake.manifests("ingest")]
    if unknown := sorted(set(dataset or ()) - set(known)):
        raise SettingsError(f"dataset {unknown[0]!r} is not in the lake, which has {', '.join(known) or 'none'}")
    with progress_bar("blocks encoded and decoded") as progress:
        measure_round_trips(lake, settings, progress=progress)
    where = f" and trips.dataset in ({', '.join(map(quoted, dataset))})" if dataset else ""
    print_rows(published(settings, _QUERY.format(split=quoted(split.value), where=where)), format)
