"""The presets of the experiments: small networks on drawn faces, or the paper's networks on the databases."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A configuration and its data.

    Attributes:
      config: name of a file in configs/.
      drawn: whether faces are drawn where no data are given; otherwise the data of the configuration are needed.
      split: fields that are changed for runs on a split by subjects, in addition to ``faces.split_fields``.
      synthesis: fields that are changed for runs whose synthetic faces are scored.
    """

    config: str
    drawn: bool
    split: dict[str, object]
    synthesis: dict[str, object]


# On a split the demo's discriminator is also trained to recognize synthetic faces, as in the paper. In configs/demo.py
# the discriminator is not, and the generator has hardly any effect on recognition (UF1 0.908 to 0.920 for A to F).
# Synthesis needs more steps than recognition: after the 70 steps of configs/demo.py the faces of the LOSO runs move a
# third as far as the real faces, and 0.61, 0.60 and 0.94 of the change lies in the muscles' regions (negative,
# positive, surprise). One fold of 200 steps takes a third of the time of the eight folds of 70 steps.
PRESETS = {
    "demo": Preset(
        "demo",
        drawn=True,
        split={"training.steps": 50, "loss.synthetic_recognition": 1.0},
        synthesis={"protocol": "split", "training.steps": 200},
    ),
    "full": Preset("loso", drawn=False, split={}, synthesis={}),
}
