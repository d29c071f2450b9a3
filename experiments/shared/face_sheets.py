"""The pictures of Figure 4: synthetic faces of several models beside real faces."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from icegan_jax.evaluation.synthesis.faces import GrayImages, SynthesizedFaces
from icegan_jax.reporting import style
from icegan_jax.reporting.face_grid import Color, FaceGrid, cell_side

_CELL = 128  # pixels, at least


class Extreme(NamedTuple):
    """A synthetic face of the class of the real apex.

    Attributes:
      ssim: SSIM to the real apex.
      of_onset: SSIM of the onset to the real apex, which a copy of the onset would have.
      name: dataset, subject and clip.
      seed: seed of the run.
      label: the class.
      onset: uint8[h, w], the neutral face.
      synthetic: uint8[h, w].
      apex: uint8[h, w], the real expression.
    """

    ssim: float
    of_onset: float
    name: str
    seed: int
    label: int
    onset: GrayImages
    synthetic: GrayImages
    apex: GrayImages


def draw_models(faces: Mapping[str, SynthesizedFaces], chosen: Sequence[int], classes: Sequence[str]) -> Color:
    """Draw a row per selected clip: the onset, the synthetic face of every class by each model, and the real apex.

    Args:
      faces: faces by name of the model, of runs that held out the same clips.
      chosen: positions of the selected clips.
      classes: names of the classes, in label order.

    Returns:
      uint8[height, width, 3].
    """
    some = next(iter(faces.values()))
    columns = ["onset", *(f"{model}\n{name}" for model in faces for name in classes), "real\napex"]
    cells, frames = [], {}
    for row, clip in enumerate(chosen):
        cells.append(
            [some.onset[clip], *(face for run in faces.values() for face in run.synthetic[clip]), some.apex[clip]]
        )
        label = int(some.label[clip])
        for column in (*range(1 + label, len(columns) - 1, len(classes)), len(columns) - 1):
            frames[row, column] = style.class_color(label)
    rows = [f"{some.subject[clip][1]}\n{some.clip[clip]}\n{classes[some.label[clip]]}" for clip in chosen]
    caption = (
        "Figure 4: synthetic apexes of held-out people, and the real ones. Framed: the class that the real apex shows; "
        "rows selected by a rule, not by appearance."
    )
    side = cell_side(some.onset.shape[1], _CELL)
    return FaceGrid(rows, columns, (side, side), caption).draw(cells, frames)


def draw_extremes(extremes: Mapping[str, Sequence[Extreme]], classes: Sequence[str]) -> Color:
    """Draw a row per model: the best and the worst faces, each as onset, synthetic face and real apex, with the SSIM.

    Args:
      extremes: faces by name of the model, best first.
      classes: names of the classes, in label order.

    Returns:
      uint8[height, width, 3].
    """
    most = max(len(entries) for entries in extremes.values())
    cells, names, frames = [], [], {}
    for row, entries in enumerate(extremes.values()):
        cells.append([face for entry in entries for face in (entry.onset, entry.synthetic, entry.apex)])
        texts = [(f"{e.name}, seed {e.seed}", f"SSIM {e.ssim:.3f}", f"onset: SSIM {e.of_onset:.3f}") for e in entries]
        names.append([text for of_entry in texts for text in of_entry])
        frames |= {(row, 3 * place + 1): style.class_color(entry.label) for place, entry in enumerate(entries)}
    caption = (
        "The best (left) and the worst synthetic faces of each model by SSIM to the real apex, whose class was asked; "
        f"held-out people. Framed by class: {', '.join(classes)}."
    )
    side = cell_side(cells[0][0].shape[0], _CELL)
    grid = FaceGrid(list(extremes), ["onset", "synthetic", "real"] * most, (side, side), caption, names)
    return grid.draw(cells, frames)
