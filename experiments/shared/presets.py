"""The sizes in which every experiment runs."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """A configuration and what an experiment changes in it for all runs.

    Attributes:
      config: name of a file in configs/.
      drawn: whether faces are drawn where no data is named; otherwise the configuration's data are needed.
      fields: changed for all runs.
    """

    config: str
    drawn: bool
    fields: dict[str, object] = field(default_factory=dict)


PRESETS = {
    "demo": Preset("demo", drawn=True),
    "full": Preset("loso", drawn=False),
}
