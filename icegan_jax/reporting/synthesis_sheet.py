"""The synthesis sheet: what G draws from people's neutral faces, beside what they did."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation.synthesis.faces import Faces
from icegan_jax.reporting import style

MAX_ROWS = 8
CHANGES = "RdBu_r"  # matplotlib's colours of a signed difference: red brighter, blue darker
GAIN = 4  # a quarter of the grey range shows at full colour
CELL = 1.22  # inches: 128 pixels are 183 at 150 dpi
GAP = 0.06
LETTER = 0.077  # inches that a letter of a row's name takes
HEAD = 1.5
FOOT = 0.75
NAME_LIMIT = 22
CLASS_LIMIT = 14  # letters that fit over a face


@dataclass(frozen=True)
class Example:
    """One clip.

    Attributes:
      person: dataset and subject.
      clip: name of the clip.
      label: the class it shows.
      onset: uint8[h, w], the neutral face, all that G sees beside noise and class.
      synthetic: uint8[k, h, w], G's face for each class.
      apex: uint8[h, w], the real expression.
    """

    person: str
    clip: str
    label: int
    onset: npt.NDArray[np.uint8]
    synthetic: npt.NDArray[np.uint8]
    apex: npt.NDArray[np.uint8]


def choose_examples(faces: Faces, max_rows: int = MAX_ROWS) -> list[Example]:
    """One clip of each of at most `max_rows` people, by a rule that looks at no face.

    They are spread evenly over the sorted people. The wanted class turns from row to row, in label order; a person's
    first clip of that class is taken, or the first clip where there is none.
    """
    people = sorted(set(faces.person))
    rows = np.linspace(0, len(people) - 1, min(max_rows, len(people))).round().astype(int)
    wanted = (number % faces.synthetic.shape[1] for number in range(len(rows)))
    return [_pick(faces, people[row], label) for row, label in zip(rows, wanted, strict=True)]


def draw_sheet(
    examples: Sequence[Example], classes: Sequence[str] = EXPRESSIONS, title: str = "Synthesis of held-out subjects"
) -> Figure:
    """Draw a row per example: onset, a synthesis per class, real apex, then what each of them changed.

    Differences to the onset are signed, red brighter and blue darker than the onset, `GAIN` times enlarged:
    255 / GAIN grey levels and more show at full colour.
    """
    columns = 2 + 2 * len(classes) + 1
    longest = max(len(name) for example in examples for name in (_short(example.person), example.clip))
    side = 0.35 + LETTER * min(longest, NAME_LIMIT)
    width = side + columns * (CELL + GAP) + 3 * GAP + 0.15
    height = HEAD + len(examples) * (CELL + GAP) + FOOT
    figure = Figure(figsize=(width, height))

    def place(row: int, column: int) -> Axes:
        left = side + column * (CELL + GAP) + (3 * GAP if column > len(classes) + 1 else 0)
        top = HEAD + row * (CELL + GAP)
        return style.picture_axes(figure, left, top, CELL)

    for row, example in enumerate(examples):
        _draw_row([place(row, column) for column in range(columns)], example, classes, first=row == 0)
    _draw_headings(figure, side, len(classes), title)
    return figure


def _draw_row(cells: Sequence[Axes], example: Example, classes: Sequence[str], *, first: bool) -> None:
    faces = [example.onset, *example.synthetic, example.apex]
    words = [style.plain(style.shortened(name, CLASS_LIMIT)) for name in classes]
    names = ["onset", *words, "real apex"]
    heads = [*names, *names[1:]]
    limit = 255 / GAIN
    for axes, face in zip(cells, faces, strict=False):
        axes.imshow(face, cmap="gray", vmin=0, vmax=255)
    for axes, face in zip(cells[len(faces) :], faces[1:], strict=True):
        change = face.astype(np.int16) - example.onset.astype(np.int16)
        axes.imshow(change, cmap=CHANGES, vmin=-limit, vmax=limit)
    if first:
        for axes, head in zip(cells, heads, strict=True):
            axes.set_title(head, fontsize=style.TEXT_SIZE + 1, color=style.INK, pad=4)

    colour = style.class_colour(example.label)
    real, asked = len(faces) - 1, 1 + example.label
    for column in (asked, real, len(faces) + example.label, len(cells) - 1):
        cells[column].spines[:].set(visible=True, color=colour, linewidth=2.2)
    cells[real].text(
        0.04,
        0.04,
        words[example.label],
        transform=cells[real].transAxes,
        fontsize=style.SMALL_SIZE,
        color="white",
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.8},
    )
    cells[0].text(
        -0.07,
        0.5,
        f"{style.plain(_short(example.person))}\n{style.plain(_short(example.clip))}",
        transform=cells[0].transAxes,
        ha="right",
        va="center",
        fontsize=style.SMALL_SIZE,
        color=style.INK,
    )


def _draw_headings(figure: Figure, side: float, num_classes: int, title: str) -> None:
    width, height = figure.get_size_inches()

    def at(x: float, from_top: float) -> tuple[float, float]:
        return x / width, 1 - from_top / height

    faces_end = side + (num_classes + 2) * (CELL + GAP) - GAP
    maps_start = faces_end + 4 * GAP
    maps_end = side + (2 * num_classes + 3) * (CELL + GAP) + 2 * GAP
    asked = (side + CELL + GAP, side + (num_classes + 1) * (CELL + GAP) - GAP)
    figure.text(*at(0.2, 0.38), title, fontsize=style.TITLE_SIZE + 4, color=style.INK)
    note = "framed: the class that the real apex shows; rows chosen by rule, not by looks"
    figure.text(*at(0.2, 0.63), note, fontsize=style.TEXT_SIZE, color=style.FAINT)
    for start, end, text in (
        (*asked, "synthesised apex"),
        (maps_start, maps_end, f"difference to the onset, gain {GAIN}"),
    ):
        middle = (start + end) / 2
        figure.text(*at(middle, 1.14), text, ha="center", fontsize=style.TEXT_SIZE + 2)
        (left, y), (right, _) = at(start, 1.2), at(end, 1.2)
        figure.add_artist(Line2D([left, right], [y, y], color=style.FAINT, linewidth=0.8))

    bar_width = 3.2
    box = ((maps_start + maps_end - bar_width) / 2 / width, 0.42 / height)
    bar = figure.add_axes((*box, bar_width / width, 0.11 / height))
    limit = 255 / GAIN
    ramp = np.linspace(-limit, limit, 256)[None]
    bar.imshow(ramp, cmap=CHANGES, aspect="auto", extent=(-limit, limit, 0, 1))
    bar.set_yticks([])
    bar.set_xticks([-60, -30, 0, 30, 60], ["−60", "−30", "0", "+30", "+60"])
    bar.tick_params(labelsize=style.SMALL_SIZE, length=2)
    bar.spines[:].set_visible(False)
    bar.set_xlabel("darker   ·   grey levels of 255   ·   brighter", fontsize=style.SMALL_SIZE)


def _short(name: str) -> str:
    return style.shortened(name, NAME_LIMIT)


def _pick(faces: Faces, person: tuple[str, str], wanted: int) -> Example:
    clips = [number for number, name in enumerate(faces.person) if name == person]
    row = next((number for number in clips if faces.label[number] == wanted), clips[0])
    return Example(
        person=" ".join(person),
        clip=faces.clip[row],
        label=int(faces.label[row]),
        onset=faces.onset[row],
        synthetic=faces.synthetic[row],
        apex=faces.apex[row],
    )
