"""The images of Figure 4: synthetic faces of several models beside real faces."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from icegan_jax.evaluation.synthesis.faces import GrayImages, SynthesizedFaces
from icegan_jax.reporting import style
from icegan_jax.reporting.face_grid import Color, FaceGrid, cell_side

_MIN_SIDE = 128  # pixels on a side of a face; smaller faces are enlarged


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
      faces: faces by the model, "LETTER: description", of runs that held out the same clips.
      chosen: positions of the selected clips.
      classes: names of the classes, in label order.

    Returns:
      uint8[height, width, 3].
    """
    letters = [name.partition(":")[0] for name in faces]
    columns = ["\nonset", *(f"{letter}\n{word}" for letter in letters for word in classes), "real\napex"]
    some = next(iter(faces.values()))
    cells, row_names, frames = [], [], {}
    for row, clip in enumerate(chosen):
        label = int(some.label[clip])
        row_names.append(f"{some.subject[clip][1]}\n{some.clip[clip]}\n{classes[label]}")
        synthetic = [face for run in faces.values() for face in run.synthetic[clip]]
        cells.append([some.onset[clip], *synthetic, some.apex[clip]])
        of_class = [1 + model * len(classes) + label for model in range(len(faces))]
        frames |= {(row, column): style.class_color(label) for column in (*of_class, len(columns) - 1)}
    caption = (
        f"Synthetic apexes of held-out people, and the real ones. {'; '.join(faces)}. Framed: the class that the real "
        "apex shows; rows selected by a rule, not by appearance."
    )
    side = cell_side(some.onset.shape[1], _MIN_SIDE)
    return FaceGrid(row_names, columns, (side, side), caption).draw(cells, frames)


def draw_extremes(extremes: Mapping[str, Sequence[Extreme]], classes: Sequence[str]) -> Color:
    """Draw a row per model: the best and the worst faces, each as onset, synthetic face and real apex, with the SSIM.

    Args:
      extremes: faces by name of the model, best first.
      classes: names of the classes, in label order.

    Returns:
      uint8[height, width, 3].
    """
    most = max(len(entries) for entries in extremes.values())
    cells, cell_names, frames = [], [], {}
    for row, entries in enumerate(extremes.values()):
        cells.append([face for entry in entries for face in (entry.onset, entry.synthetic, entry.apex)])
        texts = [(e.name, f"{e.ssim:.3f} ({e.of_onset:.3f})", f"{classes[e.label]}, seed {e.seed}") for e in entries]
        cell_names.append([text for three in texts for text in three])
        for place, entry in enumerate(entries):
            frames[row, 3 * place + 1] = style.class_color(entry.label)
    caption = (
        "The best and the worst synthetic faces of each model by SSIM to the real apex, the class of the real apex "
        "asked: the best on the left, the worst on the right. Below each: the SSIM, and in brackets that of the onset."
    )
    side = cell_side(cells[0][0].shape[0], _MIN_SIDE)
    columns = ("onset", "synthetic", "real") * most
    return FaceGrid(list(extremes), columns, (side, side), caption, cell_names).draw(cells, frames)
