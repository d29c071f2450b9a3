"""The sizes in which every experiment runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A configuration, and what its experiments run on.

    Attributes:
      config: name of a file in configs/.
      drawn: whether faces are drawn where no data is named; otherwise the configuration's data are needed.
      split: changed for the runs on a split by people, as the paper's Table III has it.
    """

    config: str
    drawn: bool
    split: dict[str, object]


PRESETS = {
    "demo": Preset("demo", drawn=True, split={"protocol": "split", "training.steps": 60}),
    "full": Preset("loso", drawn=False, split={"protocol": "split"}),
}
