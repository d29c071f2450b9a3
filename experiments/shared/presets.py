"""The sizes in which every experiment runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A configuration, and what its experiments run on.

    Attributes:
      config: name of a file in configs/.
      drawn: whether faces are drawn where no data is named; otherwise the configuration's data are needed.
      split: changed for the runs on a split by people, beside what ``faces.split_fields`` has.
      synthesis: changed for the runs whose synthetic faces are scored.
    """

    config: str
    drawn: bool
    split: dict[str, object]
    synthesis: dict[str, object]


# On a split the demo's discriminator learns the class of synthetic faces too, as in the paper: in configs/demo.py it
# does not, and what the generator draws hardly reaches it (UF1 0.908 to 0.920 for A to F).
# Synthesis needs more steps than recognition: after the 70 of configs/demo.py the faces of the LOSO runs move a third
# as far as the real ones, and 0.61, 0.60 and 0.94 of what changes lies in the muscles' regions (negative, positive,
# surprise). One fold of 200 steps takes a third of the time of the eight.
PRESETS = {
    "demo": Preset(
        "demo",
        drawn=True,
        split={"training.steps": 50, "loss.synthetic_recognition": 1.0},
        synthesis={"protocol": "split", "training.steps": 200},
    ),
    "full": Preset("loso", drawn=False, split={}, synthesis={}),
}
