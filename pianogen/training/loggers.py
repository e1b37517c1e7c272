"""Who is told the metrics of a training beside its own `metrics.jsonl`: Parquet, TensorBoard, W&B, MLflow.

    parquet       <run>/metrics.parquet, for SQL; always
    tensorboard   <run>/tensorboard/; `tensorboard --logdir` of the runs folder shows all
    wandb         <run>/wandb/, offline unless WANDB_MODE says otherwise; `wandb sync` sends it
    mlflow        <runs>/mlflow.db, unless MLFLOW_TRACKING_URI says otherwise

All are told from a thread of its own, so that no step waits for a disk or a network. `metrics.jsonl` is the truth: when
a training goes on, each is brought to what it says, so that no step stands there twice, and one that is switched on
late has the beginning too. One that fails says so once; the training goes on without it.
"""

import contextlib
import dataclasses
import importlib.util
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pianogen.errors import TrainingError
from pianogen.training.metrics import metrics_table, read_metrics
from pianogen.training.runs import METRICS_FILE, METRICS_TABLE, write_whole

Line = dict[str, Any]

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
"""What each imports."""
THREAD = "loggers"
TABLE_EVERY_SEC = 10.0
"""Seconds between two writings of the Parquet file, which is written whole."""
PATIENCE_SEC = {True: 60.0, False: 3.0}
"""How long the end of a finished training, and of a stopped one, waits for those who are told: a cancel is quick."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """The training that is told of."""

    folder: Path
    """Of the run."""
    experiment: str
    run_id: str
    lineage: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What its checkpoints say of themselves."""


class Logger(Protocol):
    """Somebody who is told; made, told and closed in one thread."""

    def log(self, lines: Sequence[Line]) -> None:
        """Take lines of metrics; the first ones are all that there are so far."""

    def close(self, finished: bool) -> None:
        """Take no more."""


Make = Callable[[About, float], Logger]
"""Makes a logger of a training, given when it began: seconds since 1970, without what a stop cut out."""


def scalars(line: Line) -> dict[str, float]:
    """The numbers of a line by a name such as `train/nll`, or `sample/prompted/num_notes`."""
    group = "/".join(filter(None, (line["split"], line.get("sample"))))
    return {
        f"{group}/{name}": float(value)
        for name, value in line.items()
        if name != "step" and isinstance(value, int | float) and not isinstance(value, bool)
    }


@contextlib.contextmanager
def telling(names: Sequence[str], about: About) -> Iterator["Teller"]:
    """Somebody to give every line of metrics to; told at the end of the body whether the training is finished.

    Args:
        names: loggers beside the Parquet file.
        about: the training.

    Raises:
        TrainingError: a logger's package is not installed.
    """
    makers: dict[str, Make] = {"parquet": _Table}
    for name in names:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise TrainingError(
                f"training.loggers: {name} needs a package that is not installed; install it with "
                f"`pip install 'pianogen[{name}]'`, or leave {name} out"
            )
        makers[name] = _maker(name)
    teller = Teller(makers, about)
    try:
        yield teller
    finally:
        teller.close()


def _maker(name: str) -> Make:
    from pianogen.training import trackers

    return {
        "tensorboard": trackers.TensorBoard,
        "wandb": trackers.WeightsAndBiases,
        "mlflow": trackers.MLflow,
    }[name]


class Teller:
    """Tells loggers the lines of a training, from a thread of its own.

    Args:
        makers: of the loggers, by name.
        about: the training.
        say: given a sentence when one of them fails.
    """

    finished = False
    """Whether the training came to its end; set before `close`."""

    def __init__(
        self,
        makers: Mapping[str, Make],
        about: About,
        say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    ) -> None:
        self.makers, self.about, self.say = makers, about, say
        self._lines: queue.SimpleQueue[list[Line] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, line: Line) -> None:
        """Tell a line, which `metrics.jsonl` holds already."""
        if self._thread is None:
            self._thread = self._start()
        else:
            self._lines.put([line])

    def close(self) -> None:
        """Wait until all are told, though not for ever."""
        if self._thread is None:
            if not self.finished:
                return
            self._thread = self._start()  # an earlier process was killed after the last line
        self._lines.put(None)
        patience_sec = PATIENCE_SEC[self.finished]
        self._thread.join(patience_sec)
        if self._thread.is_alive():
            self.say(f"loggers: not done after {patience_sec:.0f} s, left alone; metrics.jsonl has every line")

    def _start(self) -> threading.Thread:
        # With the lines that a resume kept.
        self._lines.put(read_metrics(self.about.folder / METRICS_FILE))
        thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        loggers: dict[str, Logger] = {}
        lines = self._lines.get()
        if lines:
            began = time.time() - lines[-1]["elapsed_sec"]
            for name, make in self.makers.items():
                with self._guarded(name, loggers):
                    loggers[name] = make(self.about, began)
        while lines is not None:
            for name in list(loggers):
                with self._guarded(name, loggers):
                    loggers[name].log(lines)
            lines = self._lines.get()
        for name in list(loggers):
            with self._guarded(name, loggers):
                loggers[name].close(self.finished)

    @contextlib.contextmanager
    def _guarded(self, name: str, loggers: dict[str, Logger]) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of somebody else's code, disk or network: no reason to end a training
            loggers.pop(name, None)
            self.say(f"logger {name}: {type(error).__name__}: {error}; the training goes on without it")


class _Table:
    """The lines as a Parquet file, seconds behind."""

    def __init__(self, about: About, began: float) -> None:
        self.about = about
        self.path = about.folder / METRICS_TABLE
        self._batches: list[Any] = []
        self._written_sec = 0.0

    def log(self, lines: Sequence[Line]) -> None:
        """Keep the lines, and write the file when it is due."""
        where = str(self.about.folder / METRICS_FILE)
        self._batches.append(metrics_table(lines, self.about.experiment, self.about.run_id, where))
        if time.monotonic() - self._written_sec >= TABLE_EVERY_SEC:
            self._write()

    def close(self, finished: bool) -> None:
        """Write what is left."""
        self._write()

    def _write(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._batches = [pa.concat_tables(self._batches).combine_chunks()]
        sink = pa.BufferOutputStream()
        pq.write_table(self._batches[0], sink, compression="zstd")
        write_whole(self.path, sink.getvalue().to_pybytes())
        self._written_sec = time.monotonic()
