"""Where faces move: the mean change of each pixel, of the real apexes and of the synthetic ones, class by class.

The synthesis sheet: what G draws from people's neutral faces, beside what they did.

The clips that the network was most sure of and wrong about, as pictures.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from PIL import Image

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting import style

SIDE = 1.9  # inches of a map

GAP = 0.12

LEFT = 1.25

HEAD = 0.4

ROW = 0.42  # between the rows, for the words below a map

BAR = 1.0  # for the colour bar and its numbers

NAME_LIMIT = 20

SHOWN = 99.5  # percentile at which the colours end: hair and background reach far beyond the face


class DifferenceMaps(NamedTuple):
    """Mean absolute differences to the onset, in grey levels of 255.

    Attributes:
      real: float64[k, h, w], of the real apexes of each class; 0 where it has no clip.
      synthetic: float64[k, h, w], of the faces synthesized for each class from every clip's onset.
      clips: how many real ones each class has.
    """

    real: npt.NDArray[np.float64]
    synthetic: npt.NDArray[np.float64]
    clips: tuple[int, ...]


def mean_differences(faces: SynthesizedFaces) -> DifferenceMaps:
    """The mean change of each pixel, class by class."""
    onset = faces.onset.astype(np.int16)
    k = faces.synthetic.shape[1]
    moved = np.abs(faces.apex - onset)
    clips = np.bincount(faces.label, minlength=k)
    real = [moved[faces.label == label].sum(axis=0) / max(clips[label], 1) for label in range(k)]
    synthetic = [np.abs(faces.synthetic[:, label] - onset).mean(axis=0) for label in range(k)]
    return DifferenceMaps(np.stack(real), np.stack(synthetic), tuple(clips.tolist()))


def draw_difference_maps(changes: DifferenceMaps, classes: Sequence[str]) -> Figure:
    """Draw the real changes over the synthetic ones, a column per class and a colour bar per row."""
    width = LEFT + len(classes) * (SIDE + GAP) + BAR
    figure = Figure(figsize=(width, HEAD + 2 * (SIDE + ROW)))
    rows = (
        ("real", changes.real, changes.clips),
        ("synthetic", changes.synthetic, [sum(changes.clips)] * len(classes)),
    )
    for place, (name, maps, clips) in enumerate(rows):
        top = HEAD + place * (SIDE + ROW)
        limit = max(float(np.percentile(maps, SHOWN)), 1.0)
        for column, label in enumerate(classes):
            axes = style.image_axes(figure, LEFT + column * (SIDE + GAP), top, SIDE)
            drawn = axes.imshow(maps[column], cmap="Blues", vmin=0, vmax=limit)
            if not place:
                word = style.escape_mathtext(style.truncate(label, NAME_LIMIT))
                axes.set_title(word, fontsize=style.TITLE_SIZE, color=style.TEXT_COLOR, pad=6)
            number = f"{clips[column]} clip" + "s" * (clips[column] > 1)
            words = f"{number}, mean {maps[column].mean():.1f}" if clips[column] else "no clip"
            axes.set_xlabel(words, fontsize=style.SMALL_SIZE, color=style.TEXT_COLOR)
        middle = 1 - (top + SIDE / 2) / figure.get_figheight()
        figure.text(0.15 / width, middle, name, fontsize=style.TITLE_SIZE, color=style.TEXT_COLOR, va="center")
        _draw_bar(figure, drawn, LEFT + len(classes) * (SIDE + GAP), top)
    return figure


def _draw_bar(figure: Figure, drawn: AxesImage, left: float, top: float) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, 1 - (top + SIDE) / height, 0.12 / width, SIDE / height))
    bar = figure.colorbar(drawn, cax=axes, extend="max")
    bar.set_label("grey levels of 255", fontsize=style.SMALL_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE, length=2)
    bar.outline.set_visible(False)


MAX_ROWS = 8

DIFFERENCE_COLORMAP = "RdBu_r"  # matplotlib's colours of a signed difference: red brighter, blue darker


SHEET_CELL = 1.22  # inches: 128 pixels are 183 at 150 dpi

SHEET_GAP = 0.06

LETTER = 0.077  # inches that a letter of a row's name takes

SHEET_HEAD = 1.5

FOOT = 0.75

SHEET_NAME_LIMIT = 22

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

    subject: str
    clip: str
    label: int
    onset: npt.NDArray[np.uint8]
    synthetic: npt.NDArray[np.uint8]
    apex: npt.NDArray[np.uint8]


def choose_examples(faces: SynthesizedFaces, max_rows: int = MAX_ROWS) -> list[Example]:
    """One clip of each of at most `max_rows` people, by a rule that looks at no face.

    They are spread evenly over the sorted people. The wanted class turns from row to row, in label order; a person's
    first clip of that class is taken, or the first clip where there is none.
    """
    people = sorted(set(faces.subject))
    rows = np.linspace(0, len(people) - 1, min(max_rows, len(people))).round().astype(int)
    wanted = (number % faces.synthetic.shape[1] for number in range(len(rows)))
    return [_pick(faces, people[row], label) for row, label in zip(rows, wanted, strict=True)]


def draw_synthesis_grid(
    examples: Sequence[Example], classes: Sequence[str] = EXPRESSIONS, title: str = "Synthesis of held-out subjects"
) -> Figure:
    """Draw a row per example: onset, a synthesis per class, real apex, then what each of them changed.

    Differences to the onset are signed, red brighter and blue darker than the onset, `GAIN` times enlarged:
    255 / GAIN grey levels and more show at full colour.
    """
    columns = 2 + 2 * len(classes) + 1
    longest = max(len(name) for example in examples for name in (_short(example.subject), example.clip))
    side = 0.35 + LETTER * min(longest, SHEET_NAME_LIMIT)
    width = side + columns * (SHEET_CELL + SHEET_GAP) + 3 * SHEET_GAP + 0.15
    height = SHEET_HEAD + len(examples) * (SHEET_CELL + SHEET_GAP) + FOOT
    figure = Figure(figsize=(width, height))

    def place(row: int, column: int) -> Axes:
        left = side + column * (SHEET_CELL + SHEET_GAP) + (3 * SHEET_GAP if column > len(classes) + 1 else 0)
        top = SHEET_HEAD + row * (SHEET_CELL + SHEET_GAP)
        return style.image_axes(figure, left, top, SHEET_CELL)

    for row, example in enumerate(examples):
        _draw_row([place(row, column) for column in range(columns)], example, classes, first=row == 0)
    _draw_headings(figure, side, len(classes), title)
    return figure


def _draw_row(cells: Sequence[Axes], example: Example, classes: Sequence[str], *, first: bool) -> None:
    faces = [example.onset, *example.synthetic, example.apex]
    words = [style.escape_mathtext(style.truncate(name, CLASS_LIMIT)) for name in classes]
    names = ["onset", *words, "real apex"]
    heads = [*names, *names[1:]]
    limit = 255 / style.DIFFERENCE_GAIN
    for axes, face in zip(cells, faces, strict=False):
        axes.imshow(face, cmap="gray", vmin=0, vmax=255)
    for axes, face in zip(cells[len(faces) :], faces[1:], strict=True):
        change = face.astype(np.int16) - example.onset.astype(np.int16)
        axes.imshow(change, cmap=DIFFERENCE_COLORMAP, vmin=-limit, vmax=limit)
    if first:
        for axes, head in zip(cells, heads, strict=True):
            axes.set_title(head, fontsize=style.TEXT_SIZE + 1, color=style.TEXT_COLOR, pad=4)

    colour = style.class_color(example.label)
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
        f"{style.escape_mathtext(_short(example.subject))}\n{style.escape_mathtext(_short(example.clip))}",
        transform=cells[0].transAxes,
        ha="right",
        va="center",
        fontsize=style.SMALL_SIZE,
        color=style.TEXT_COLOR,
    )


def _draw_headings(figure: Figure, side: float, num_classes: int, title: str) -> None:
    width, height = figure.get_size_inches()

    def at(x: float, from_top: float) -> tuple[float, float]:
        return x / width, 1 - from_top / height

    faces_end = side + (num_classes + 2) * (SHEET_CELL + SHEET_GAP) - SHEET_GAP
    maps_start = faces_end + 4 * SHEET_GAP
    maps_end = side + (2 * num_classes + 3) * (SHEET_CELL + SHEET_GAP) + 2 * SHEET_GAP
    asked = (side + SHEET_CELL + SHEET_GAP, side + (num_classes + 1) * (SHEET_CELL + SHEET_GAP) - SHEET_GAP)
    figure.text(*at(0.2, 0.38), title, fontsize=style.TITLE_SIZE + 4, color=style.TEXT_COLOR)
    note = "framed: the class that the real apex shows; rows chosen by rule, not by looks"
    figure.text(*at(0.2, 0.63), note, fontsize=style.TEXT_SIZE, color=style.MUTED_COLOR)
    for start, end, text in (
        (*asked, "synthesized apex"),
        (maps_start, maps_end, f"difference to the onset, gain {style.DIFFERENCE_GAIN}"),
    ):
        middle = (start + end) / 2
        figure.text(*at(middle, 1.14), text, ha="center", fontsize=style.TEXT_SIZE + 2)
        (left, y), (right, _) = at(start, 1.2), at(end, 1.2)
        figure.add_artist(Line2D([left, right], [y, y], color=style.MUTED_COLOR, linewidth=0.8))

    bar_width = 3.2
    box = ((maps_start + maps_end - bar_width) / 2 / width, 0.42 / height)
    bar = figure.add_axes((*box, bar_width / width, 0.11 / height))
    limit = 255 / style.DIFFERENCE_GAIN
    ramp = np.linspace(-limit, limit, 256)[None]
    bar.imshow(ramp, cmap=DIFFERENCE_COLORMAP, aspect="auto", extent=(-limit, limit, 0, 1))
    bar.set_yticks([])
    bar.set_xticks([-60, -30, 0, 30, 60], ["−60", "−30", "0", "+30", "+60"])
    bar.tick_params(labelsize=style.SMALL_SIZE, length=2)
    bar.spines[:].set_visible(False)
    bar.set_xlabel("darker   ·   grey levels of 255   ·   brighter", fontsize=style.SMALL_SIZE)


def _short(name: str) -> str:
    return style.truncate(name, SHEET_NAME_LIMIT)


def _pick(faces: SynthesizedFaces, person: tuple[str, str], wanted: int) -> Example:
    clips = [number for number, name in enumerate(faces.subject) if name == person]
    row = next((number for number in clips if faces.label[number] == wanted), clips[0])
    return Example(
        subject=" ".join(person),
        clip=faces.clip[row],
        label=int(faces.label[row]),
        onset=faces.onset[row],
        synthetic=faces.synthetic[row],
        apex=faces.apex[row],
    )


MAX_WORST_CLIPS = 12  # clips shown

_QUALITY = 90  # of the WebP files; a clip takes about 10 kB


class WorstClip(NamedTuple):
    """A wrong answer.

    Attributes:
      row: the prediction.
      margin: the length of the class answered minus that of the true one.
      strip: WebP of onset, apex and their difference side by side; None where the run has no faces of the clip.
    """

    row: Prediction
    margin: float
    strip: bytes | None


def find_worst_clips(
    predictions: Sequence[Prediction], faces: SynthesizedFaces, most: int = MAX_WORST_CLIPS
) -> list[WorstClip]:
    """The wrong answers, those with the largest margin first, at most ``most`` of them."""
    keys = zip(faces.subject, faces.clip, strict=True)
    index = {(dataset, subject, clip): number for number, ((dataset, subject), clip) in enumerate(keys)}
    found = []
    for row in sorted((row for row in predictions if row.label != row.prediction), key=_margin, reverse=True)[:most]:
        number = index.get((row.dataset, row.subject, row.clip))
        strip = None if number is None else draw_strip(faces.onset[number], faces.apex[number])
        found.append(WorstClip(row, _margin(row), strip))
    return found


def draw_strip(onset: npt.NDArray[np.uint8], apex: npt.NDArray[np.uint8]) -> bytes:
    """Onset, apex, and the signed difference as the synthesis sheet colours it, as WebP.

    Args:
      onset: uint8[h, w].
      apex: uint8[h, w].
    """
    change = apex.astype(np.float64) - onset
    share = np.clip(0.5 + change * style.DIFFERENCE_GAIN / (2 * 255), 0, 1)
    colours = (matplotlib.colormaps[DIFFERENCE_COLORMAP](share)[..., :3] * 255).round().astype(np.uint8)
    grey = np.repeat(np.concatenate([onset, apex], axis=1)[..., None], 3, axis=2)
    data = io.BytesIO()
    strip = Image.fromarray(np.concatenate([grey, colours], axis=1))
    strip.save(data, "WEBP", quality=_QUALITY)
    return data.getvalue()


def _margin(row: Prediction) -> float:
    return row.scores[row.prediction] - row.scores[row.label]
