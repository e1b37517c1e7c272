"""Commands about models: experiments, shards, training, numbers, samples and the page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pianogen.cli.rows import Format, print_rows
from pianogen.cli.shared import Config, Experiment, app, err, experiment_path, out, progress_bar, publish, published
from pianogen.settings import load_settings

if TYPE_CHECKING:
    from pianogen.generation.beams import BeamConfig

_REPORTED = """
    select {columns} from leaderboard_with_references where {wanted}
    order by reference is null, starts_with(reference, 'study-') desc, reference, standing = 'measured here', rank
"""
_NO_CERTIFICATE = "none: test music is in train, as data.leak asks for"
_RUN_HERE = "reference in (select reference from leaderboard_with_references where standing = 'measured here')"
_QUALITY = """
    select
        num_samples, copied_share, held_out_copied_share, longest_copy_sec, cycle_share, held_out_cycle_share,
        repeated_share, held_out_repeated_share, mean_overlap
    from sample_quality where experiment = $name
"""
_SHOWN = "reference, standing, experiment, num_parameters, steps, train_sec, bits_per_note, nll, nll_per"


@app.command(epilog="Example: pianogen experiments")
def experiments(config: Config = None, format: Format = Format.table) -> None:
    """Experiment files with their models and how many parameters these have; those of a folder wait to be asked for."""
    from pianogen.training.overview import experiments_overview

    rows = experiments_overview(load_settings(config).experiments)
    print_rows(rows.drop_columns("description") if format is Format.table else rows, format)


@app.command(epilog="Example: pianogen tokenize quick")
def tokenize(
    experiment: Experiment,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    config: Config = None,
) -> None:
    """Build the shards of an experiment; refused where the split did not pass the gate."""
    from pianogen.lake import Lake
    from pianogen.shards import build_shards, plan_shards
    from pianogen.training.experiment import load_experiment

    settings = load_settings(config)
    loaded = load_experiment(experiment_path(settings, experiment))
    if dry_run:
        plan = plan_shards(
            Lake(settings.lake),
            tokenizer=loaded.tokenizer,
            augment=loaded.augmentation,
            datasets=loaded.data.names,
            leak=loaded.data.leak,
        )
        for split, num in plan.num_performances.items():
            typer.echo(f"{split}: {num:,} performances")
        most = loaded.augmentation.most_copies
        learns = "" if plan.is_learned else ", once its vocabulary was learned from train"
        typer.echo(
            f"{plan.num_shards} shards of {loaded.tokenizer['name']}, train in up to {most} copies{learns}; "
            f"{plan.num_there} are there"
        )
        return
    with progress_bar("shards written") as progress:
        manifest = build_shards(
            Lake(settings.lake),
            settings,
            name=loaded.name,
            tokenizer=loaded.tokenizer,
            augment=loaded.augmentation,
            datasets=loaded.data.names,
            leak=loaded.data.leak,
            progress=progress,
        )
    for split, counts in manifest.info["counts"].items():
        typer.echo(
            f"{split}: {counts['num_performances']} performances, {counts['num_sequences']} sequences, "
            f"{counts['num_tokens']:,} tokens"
        )
    publish(settings)
    typer.echo(f"version {manifest.version}, certificate {manifest.info['certificate'] or _NO_CERTIFICATE}")


@app.command(epilog="Example: pianogen train quick")
def train(experiment: Experiment, config: Config = None) -> None:
    """Train an experiment in a process of its own; go on from its last checkpoint, if it has one."""
    from pianogen.training.experiment import load_experiment
    from pianogen.training.launch import run_training
    from pianogen.training.runs import require_run
    from pianogen.training.showing import described

    settings = load_settings(config)
    path = experiment_path(settings, experiment)
    steps = load_experiment(path).training.steps
    with progress_bar("steps") as progress:

        def show(metrics: dict[str, Any]) -> None:
            progress(metrics["step"], steps)
            if metrics["split"] != "train":
                err.print(described(metrics, steps))

        run = require_run(folder := run_training(path, settings, show))
    typer.echo(
        f"{folder}: {run['num_parameters']:,} parameters, {run['steps']} steps, best at {run['best_step']} with "
        f"{run['validation_nll']:.4f} nats per validation token, {run['train_sec']:.0f} s on {run['device']}"
    )


@app.command(epilog="Example: pianogen evaluate quick")
def evaluate(experiment: Experiment, config: Config = None) -> None:
    """Score the whole test split with an experiment's model, draw its samples, and judge them."""
    from pianogen.evaluation.evaluations import evaluate_run
    from pianogen.evaluation.judgements import judge_samples
    from pianogen.evaluation.kinship import find_kinships
    from pianogen.evaluation.scores import compare_runs
    from pianogen.generation.samples import generate_samples
    from pianogen.lake import Lake
    from pianogen.training.experiment import load_experiment
    from pianogen.warehouse import query_warehouse

    settings = load_settings(config)
    lake, loaded = Lake(settings.lake), load_experiment(experiment_path(settings, experiment))
    with progress_bar("tokens scored") as progress:
        evaluate_run(lake, settings.runs, loaded, progress=progress)
    find_kinships(lake, settings.runs, loaded)
    compare_runs(lake)
    generate_samples(lake, settings.runs, loaded)
    with progress_bar("blocks of training music indexed") as progress:
        judge_samples(lake, loaded.name, settings, progress=progress)
    rows = published(settings, "select * from leaderboard where experiment = getvariable('name')", name=loaded.name)
    shown = ("experiment", "bits_per_note", "low", "high", "whole_bits_per_note", "bits_per_second", "round_trip_f1")
    print_rows(rows.select([*shown, "num_contaminated", "nll", "num_test_notes"]), Format.table)
    quality = query_warehouse(settings.warehouse, _QUALITY, {"name": loaded.name})
    print_rows(quality, Format.table)


@app.command(epilog="Example: pianogen generate --checkpoint best --prompt my.mid --out next.mid")
def generate(
    to: Annotated[Path, typer.Option("--out", help="MIDI file to write.")],
    checkpoint: Annotated[str, typer.Option(help="'best', an experiment's name, or a run's folder.")] = "best",
    prompt: Annotated[Path | None, typer.Option(help="Music to continue; from nothing without it.")] = None,
    prompt_sec: Annotated[float | None, typer.Option(help="Seconds of the prompt to use; all without it.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Most tokens to draw.")] = 768,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token each time.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Draw among the k most likely tokens; 0: all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Draw among the most likely tokens up to this probability.")] = 0.95,
    min_p: Annotated[float, typer.Option(help="... at least so many times as likely as the likeliest; 0: all.")] = 0.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: tokens that came are less likely.")] = 1.0,
    repetition_window: Annotated[int, typer.Option(help="The last tokens that it looks at; 0: all.")] = 0,
    no_repeat_ngram: Annotated[int, typer.Option(help="No run of so many tokens comes twice; 0: any may.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same music.")] = 1,
    beams: Annotated[int, typer.Option(help="Above 0: search the likeliest with so many beams; nothing is drawn.")] = 0,
    beam_groups: Annotated[int, typer.Option(help="Groups of beams that avoid each other's tokens.")] = 1,
    diversity: Annotated[float, typer.Option(help="How much they do, in nats.")] = 0.5,
    length_penalty: Annotated[float, typer.Option(help="0: likeliest in all; 1: on average, so longer ones.")] = 1.0,
    config: Config = None,
) -> None:
    """Continue a piece, or begin one, with a trained model; with --beams, write as many, the best to --out."""
    from pianogen.generation.continuation import generate as generate_music
    from pianogen.training.experiment import GenerationConfig
    from pianogen.training.runs import find_checkpoint

    run = find_checkpoint(load_settings(config).runs, checkpoint)
    drawing = GenerationConfig(
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        repetition_window=repetition_window,
        no_repeat_ngram=no_repeat_ngram,
        seed=seed,
    )
    if beams:
        from pianogen.generation.beams import BeamConfig

        width = BeamConfig(num_beams=beams, num_groups=beam_groups, diversity=diversity, length_penalty=length_penalty)
        _search(run, prompt, to, width, max_tokens, prompt_sec)
        return
    sample = generate_music(run, prompt, to, drawing, prompt_sec=prompt_sec)
    typer.echo(
        f"{to}: {sample.num_notes} notes, {sample.duration_sec:.1f} s, prompt {sample.prompt_sec:.1f} s, seed {seed}"
    )


def _search(
    run: Path, prompt: Path | None, to: Path, beams: "BeamConfig", max_tokens: int, prompt_sec: float | None
) -> None:
    from pianogen.generation.beams import mean_distance
    from pianogen.generation.continuation import search

    found = search(run, prompt, to, beams, max_tokens=max_tokens, prompt_sec=prompt_sec)
    for one in found:
        hypothesis = one.hypothesis
        typer.echo(
            f"{one.path}: {one.sample.num_notes} notes, {one.sample.duration_sec:.1f} s, score {hypothesis.score:.4f}, "
            f"ln p {hypothesis.log_prob:.2f}, {'ended' if hypothesis.is_ended else 'cut'}"
        )
    difference = mean_distance([one.hypothesis.continuation for one in found])
    typer.echo(f"difference between them: {difference:.3f} of their tokens")


@app.command(epilog="Example: pianogen leaderboard --format csv")
def leaderboard(
    references: Annotated[bool, typer.Option("--references", help="All that others report, with our runs.")] = False,
    config: Config = None,
    format: Format = Format.table,
) -> None:
    """Evaluated runs by bits per note on the test split; nats per token are shown and do not rank.

    Beneath stand the rows of the study that a run here is one of, as reported: they compare with nothing.
    """
    from pianogen.warehouse import query_warehouse

    settings = load_settings(config)
    if references:
        print_rows(published(settings, _REPORTED.format(columns="*", wanted="true")), format)
        return
    columns = (
        "*"
        if format is not Format.table
        else (
            "rank, experiment, model, tokenizer, bits_per_note, low, high, whole_rank, whole_bits_per_note, "
            "bits_per_second, round_trip_f1, num_contaminated, nll, num_parameters, train_sec, peak_memory_mb, "
            "num_test_notes, test_set, carries, non_commercial, parents_check"
        )
    )
    print_rows(published(settings, f"select {columns} from leaderboard order by rank"), format)
    if format is Format.table:
        reported = query_warehouse(settings.warehouse, _REPORTED.format(columns=_SHOWN, wanted=_RUN_HERE))
        if reported.num_rows:
            out.print("Reported, beside the runs of it here; other splits, nats per token of other tokenizers:")
            print_rows(reported, format)


@app.command(epilog="Example: pianogen report")
def report(config: Config = None) -> None:
    """Write the page with the leaderboard, the plots, and samples that play; and a card of each dataset."""
    from pianogen.catalogue import load_catalogue
    from pianogen.report.data_card import write_data_cards
    from pianogen.report.page import write_report

    settings = load_settings(config)
    published(settings, "select 1")
    typer.echo(write_report(settings.warehouse, settings.report))
    typer.echo(write_data_cards(settings.warehouse, settings.data_cards, load_catalogue(settings)).paths["README"])
