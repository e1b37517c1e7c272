"""Commands about blind listening tests."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pianogen.cli.rows import Format, print_rows
from pianogen.cli.shared import Config, app, publish, published
from pianogen.settings import load_settings

listening = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Make a blind listening test, take in votes, show what they say."
)
app.add_typer(listening, name="listening")


@listening.command(epilog="Example: pianogen listening make --a music/human --b quick --out test.html")
def make(
    a: Annotated[str, typer.Option("--a", help="Folder of music, or an experiment with samples.")],
    b: Annotated[str, typer.Option("--b", help="The one to compare it with.")],
    to: Annotated[Path, typer.Option("--out", help="The page, one HTML file; its key is written beside it.")],
    pairs: Annotated[int, typer.Option(min=1, help="Different pairs.")] = 20,
    repeats: Annotated[
        int | None, typer.Option(min=0, help="Pairs that come twice, sides changed; a fifth of them without it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same page.")] = 1,
    seconds: Annotated[float, typer.Option(min=0, help="Of each sample, from its beginning; 0: all of it.")] = 60.0,
    question: Annotated[str | None, typer.Option(help="What is asked; `Which one do you prefer?` without it.")] = None,
    lang: Annotated[str | None, typer.Option(help="en or es; that of the browser without it.")] = None,
    config: Config = None,
) -> None:
    """Write a page on which two sets of samples are compared blind: no server, no names, votes as a file."""
    from pianogen.aside import write_whole
    from pianogen.lake import Lake
    from pianogen.listening.page import QUESTION, ListeningConfig, make_test
    from pianogen.listening.sets import read_set

    drawn = ListeningConfig(
        pairs=pairs, repeats=repeats, seed=seed, seconds=seconds, question=question or QUESTION, language=lang
    )
    lake = Lake(load_settings(config).lake)
    page, key = make_test(read_set(a, lake), read_set(b, lake), drawn)
    to.parent.mkdir(parents=True, exist_ok=True)
    write_whole(to, page.encode())
    key_file = to.with_suffix(".key.json")
    write_whole(key_file, json.dumps(key, indent=1).encode() + b"\n")
    num_repeats = sum(pair["repeat_of"] is not None for pair in key["pairs"])
    typer.echo(f"{to}: {len(key['pairs']) - num_repeats} pairs, {num_repeats} of them twice")
    typer.echo(f"{key_file}: who is who; keep it to yourself, `pianogen listening import` needs it")


@listening.command("import", epilog="Example: pianogen listening import votes-*.json --key test.key.json")
def import_(
    votes: Annotated[list[Path], typer.Argument(help="Files that listeners saved.")],
    key: Annotated[Path, typer.Option(help="The key that was written with the page.")],
    config: Config = None,
) -> None:
    """Put votes into the lake and the warehouse; the same ones twice change nothing."""
    from pianogen.lake import Lake
    from pianogen.listening.votes import import_votes

    settings = load_settings(config)
    done = import_votes(Lake(settings.lake), key, votes)
    publish(settings)
    typer.echo(f"{done.num_files} files: {done.num_new} new votes, {done.num_known} known")


@listening.command(epilog="Example: pianogen listening results --format csv")
def results(config: Config = None, format: Format = Format.table) -> None:
    """What listeners preferred, with intervals and an exact test: the view `listening_results`."""
    columns = (
        "set_a, set_b, question, num_listeners, num_votes, wins_a, wins_b, ties, share_a, share_a_low, share_a_high, "
        "p_value, consistency"
    )
    chosen = columns if format is Format.table else "*"
    print_rows(published(load_settings(config), f"select {chosen} from listening_results"), format)
