"""The summary of a prepared folder: prepared.json, and the tables beside it."""

import csv
import json
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from icegan_jax import __version__
from icegan_jax.data.clips import Clip
from icegan_jax.data.names import spreadsheet_cell

# Packages on which a prepared pixel can depend, beside the frames and the options.
_PACKAGES = ("numpy", "opencv-python-headless", "av", "pillow", "dlib-bin", "face-recognition-models")
# Fields about the run instead of its result: they are not written, so that two runs write the same bytes.
_RUN_FIELDS = ("reused", "seconds", "frames_per_second")


@dataclass(frozen=True)
class Counts:
    """The clips of one database.

    Attributes:
        clips: number of clips.
        subjects: number of (dataset, subject) persons.
        classes: number of clips per class.
    """

    clips: int
    subjects: int
    classes: dict[str, int]


@dataclass(frozen=True)
class Summary:
    """The content of a prepared folder, and statistics of the run that wrote it.

    All but the last three fields are the content of prepared.json.

    Attributes:
        clips: number of clips.
        subjects: number of (dataset, subject) persons.
        faces_found: number of clips in which a face was found: all that were not left out.
        pairs: number of (onset, frame) pairs, the apexes and their neighbors.
        protocol: the protocol that selected the clips and their classes, as "megc2019"; "" without one.
        sources: names of the sources, as given to ``prepare_clips``.
        classes: clips per class, in the order of the labels.
        datasets: the counts of each database, in the order in which the databases occur.
        left_out: names of the clips whose frames are damaged or show no face (``skip_damaged``).
        repairs: rows of repairs.csv.
        findings: rows of findings.csv.
        register: "rigid" or "none".
        apex_method: how an apex was spotted where none was annotated.
        size: pixels on a side.
        margin: around the landmarks' box, as a fraction of its width.
        versions: versions of Python, this package, and the packages that a prepared pixel depends on.
        fingerprint: sha256 of the pairs' pixels, labels, shifts and names.
        reused: number of clips taken from the cache of an earlier run.
        seconds: wall time of face detection, registration, spotting and cropping.
        frames_per_second: frames decoded for the clips that were not reused, per second of wall time; 0 where all were
            reused.
    """

    clips: int
    subjects: int
    faces_found: int
    pairs: int
    protocol: str
    sources: tuple[str, ...]
    classes: dict[str, int]
    datasets: dict[str, Counts]
    left_out: tuple[str, ...]
    repairs: int
    findings: int
    register: str
    apex_method: str
    size: int
    margin: float
    versions: dict[str, str]
    fingerprint: str
    reused: int = 0
    seconds: float = 0.0
    frames_per_second: float = 0.0

    def content(self) -> dict[str, Any]:
        """Return the fields of prepared.json, which are the same after every run on the same data."""
        return {name: value for name, value in asdict(self).items() if name not in _RUN_FIELDS}


def count_clips(clips: Sequence[Clip], classes: Sequence[str]) -> Counts:
    """Count clips, (dataset, subject) persons, and clips per class, including classes without a clip."""
    labels = Counter(clip.label for clip in clips)
    return Counts(
        clips=len(clips),
        subjects=len({(clip.dataset, clip.subject) for clip in clips}),
        classes={word: labels[label] for label, word in enumerate(classes)},
    )


def count_datasets(clips: Sequence[Clip], classes: Sequence[str]) -> dict[str, Counts]:
    """Return ``count_clips`` of each database."""
    names = dict.fromkeys(clip.dataset for clip in clips)
    return {name: count_clips([clip for clip in clips if clip.dataset == name], classes) for name in names}


def package_versions() -> dict[str, str]:
    """Return the versions of Python, this package, and the packages that a prepared pixel depends on."""
    installed = {name: metadata.version(name) for name in _PACKAGES if any(_distributions(name))}
    return {"python": platform.python_version(), "icegan-jax": __version__, **installed}


def _distributions(name: str) -> Iterable[metadata.Distribution]:
    """Return the installed distributions of that name; dlib may come from another distribution than dlib-bin."""
    return metadata.distributions(name=name)


def write_summary(path: Path, summary: Summary) -> None:
    """Write prepared.json."""
    path.write_text(
        json.dumps(summary.content(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace"
    )


def write_table(path: Path, record: type, rows: Iterable[Any]) -> None:
    """Write a csv with a column for each field of the dataclass ``record``, in which no cell is a formula."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(record)])
        writer.writerows(map(spreadsheet_cell, astuple(row)) for row in rows)
