"""How our figures look, and how they become bytes that depend on the rows alone.

No pyplot, so nothing is kept between calls, and a user's matplotlibrc changes nothing. One hue stands for data, because
every dataset is labelled where it is drawn; where two or three things share axes, they have colours of Okabe and Ito
(2008), which colour-blind readers tell apart, and another stroke each.
"""

import base64
import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib.style
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

Rows = Sequence[Mapping[str, Any]]

BLUE = "#0072b2"
VERMILION = "#d55e00"
LIGHT = "#9ecae1"
"""Blue for areas under something else."""
INK = "#24292f"
FAINT = "#8c959f"
PIANO = (21, 108)
"""Lowest and highest MIDI pitch of a piano, A0 and C8."""
WIDTH = 5.6
"""Inches. Narrow, so that text stays readable when a phone scales the picture down."""
MAX_LABEL = 18
"""Characters of a dataset's name that are drawn."""

SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", LIGHT, BLUE])
"""Of a share: the more, the darker."""
_LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8, "handlelength": 1.6, "columnspacing": 1.2}

_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "x",
    "grid.color": "#d0d7de",
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "svg.fonttype": "path",  # the same picture whatever fonts the reader has
    "svg.hashsalt": "pianogen",  # ids of clip paths are random without a salt
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Our settings over matplotlib's own, so that a user's matplotlibrc changes no bytes."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def to_png(figure: Figure) -> bytes:
    """PNG bytes on white at 100 dots an inch, small enough for an inline picture; the same for the same figure."""
    buffer = io.BytesIO()
    with style():
        # 64 colours are enough for two hues and their soft edges, and halve the bytes.
        figure.savefig(buffer, format="png", dpi=100, facecolor="white")
    with PIL.Image.open(buffer) as picture:
        few_colors = picture.convert("RGB").quantize(64, dither=PIL.Image.Dither.NONE)
    buffer = io.BytesIO()
    few_colors.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """SVG text on a transparent ground, letters as outlines; the same for the same figure."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue().decode("utf-8")


def to_address(figure: Figure) -> str:
    """Address that holds the SVG itself; an image can't run script, whatever text it shows."""
    return "data:image/svg+xml;base64," + base64.b64encode(to_svg(figure).encode()).decode()


def new_figure(*, height: float, axes: bool = True) -> tuple[Figure, Any]:
    """A figure as wide as all of them, and its axes where it has only one."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot() if axes else None


def height_of(num_rows: int) -> float:
    """Inches of a figure with a line for each dataset."""
    return 0.95 + 0.3 * num_rows


def no_data(title: str) -> Figure:
    """In place of a figure without rows."""
    figure, axes = new_figure(height=1.4)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.text(0.5, 0.5, "no data yet", ha="center", va="center", color=FAINT, transform=axes.transAxes)
    return figure


def legend(figure: Figure, words: Iterable[str], lines: Sequence[Mapping[str, Any]]) -> None:
    """Beside the figure's title, where no data is."""
    handles = [Line2D([], [], **line) for line in lines]
    figure.legend(handles, list(words), loc="upper right", ncols=len(lines), borderaxespad=0.1, **_LEGEND)


def legend_above(axes: Axes, words: Iterable[str], lines: Sequence[Mapping[str, Any]]) -> None:
    """Beside the title of one of several axes."""
    handles = [Line2D([], [], **line) for line in lines]
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1}
    axes.legend(handles, list(words), ncols=len(lines), **place, **_LEGEND)


def figure_title(figure: Figure, text: str) -> None:
    """Over all axes, at the left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=10, fontweight="bold")


def nothing(axes: Axes) -> None:
    """In place of one of several axes without rows."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.text(0.5, 0.5, "nothing counted", ha="center", va="center", color=FAINT, transform=axes.transAxes)


def plain(axes: Axes) -> None:
    """Without lines around the data."""
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=0)
    axes.spines[:].set_visible(False)


def bars(axes: Axes, rows: Rows, values: Sequence[float], labels: Sequence[str]) -> None:
    """Horizontal bars from the top, each with its dataset at the left and its value at the end."""
    drawn = axes.barh(range(len(rows)), values, height=0.66, color=BLUE)
    axes.bar_label(drawn, labels, padding=3, fontsize=8)
    axes.set_yticks(range(len(rows)), [label(row["dataset"]) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    # Room for the number that stands after the longest bar.
    axes.set_xlim(0, 1.3 * max(*values, 0) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def label(name: str) -> str:
    """A dataset's name, cut where it is long."""
    return name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…"


def pitch_name(pitch: int) -> str:
    """A pitch by name and octave; 60 is C4."""
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "G♯", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def percent(share: float, _: object = None) -> str:
    """A share of 0 to 1 on an axis."""
    return f"{100 * share:g} %"


def short(value: float) -> str:
    """A large number with its thousands as a letter."""
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def short_time(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"
