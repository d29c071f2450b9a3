"""The prepared (onset, frame) pairs on disk: a TFDS dataset of ArrayRecord files, without TensorFlow."""

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.names import check_classes, check_name, check_subjects
from icegan_jax.errors import UserError

VERSION = "2.0.0"  # of the TFDS dataset; 1.0.0 had no resting faces
SPLIT = "clips"  # "all" is reserved by TFDS
_NAME = "icegan_pairs"  # of the TFDS dataset; TFDS derives the name from that of the builder ``IceganPairs``
_Row = tuple[int, int, str, str, str]  # label, shift, dataset, subject, clip
# The arrays of Pairs, one entry per pair.
_ARRAYS = ("onset", "apex", "rest", "label", "shift", "dataset", "subject", "clip")

# This file is written last into a prepared folder: a folder that has it is complete.
SUMMARY_FILE = "prepared.json"


@dataclass(frozen=True)
class Record:
    """One (onset, frame) pair of a clip.

    Attributes:
        dataset: name of the database.
        subject: identifier of the person, unique within the dataset.
        clip: name, unique within (dataset, subject).
        label: an index into the dataset's classes.
        shift: position of the frame minus that of the apex, -2 to 2; 0 for the apex itself.
        onset: uint8[h, w], the neutral face.
        apex: uint8[h, w], the face ``shift`` frames after the apex.
        rest: uint8[h, w], the face in a frame without an expression, see ``resting.resting_frames``.
    """

    dataset: str
    subject: str
    clip: str
    label: int
    shift: int
    onset: NDArray[np.uint8]
    apex: NDArray[np.uint8]
    rest: NDArray[np.uint8]


@dataclass(frozen=True)
class Pairs:
    """All n prepared pairs in memory, ordered by clip and, within a clip, by shift.

    Attributes:
        onset: uint8[n, h, w], the neutral faces.
        apex: uint8[n, h, w], the apexes and their neighbors.
        rest: uint8[n, h, w], faces of the same clips without an expression.
        label: int32[n], indices into ``classes``.
        shift: int32[n], -2 to 2; 0 for the apex.
        dataset: str[n].
        subject: str[n].
        clip: str[n].
        classes: names of the classes, in label order; ``EXPRESSIONS`` unless the pairs were prepared with others.
        fingerprint: sha256, in hexadecimal, of the classes, pixels, labels, shifts and names.
        input: uint8[n, ...], what a compared system reads in place of the faces (``baseline_input``); None: faces.
    """

    onset: NDArray[np.uint8]
    apex: NDArray[np.uint8]
    rest: NDArray[np.uint8]
    label: NDArray[np.int32]
    shift: NDArray[np.int32]
    dataset: NDArray[np.str_]
    subject: NDArray[np.str_]
    clip: NDArray[np.str_]
    classes: tuple[str, ...]
    fingerprint: str
    input: NDArray[np.uint8] | None = None

    def network_input(self, index: NDArray[np.integer]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return what a network reads of the pairs ``index`` int[...]: onset and apex, uint8[..., h, w, 1] each.

        A compared system has one input uint8[..., *input_shape], which is returned twice.
        """
        if self.input is not None:
            return self.input[index], self.input[index]
        return self.onset[index][..., None], self.apex[index][..., None]


def write_pairs(out: str | Path, records: Iterable[Record], classes: Sequence[str] = EXPRESSIONS) -> str:
    """Write the records, in the given order, as a TFDS dataset under the folder ``out``.

    Args:
        out: the prepared folder.
        records: the pairs.
        classes: names of the classes, in label order; a class may be without records.

    Returns:
        The fingerprint of the dataset, as in ``Pairs``.

    Raises:
        UserError: there are no records, two classes have the same name, a name cannot be the name of a folder, or a
            clip has two labels or two apexes.
        ValueError: the faces are not uint8 of one shape (h, w), a label has no class, or the dataset exists already.
    """
    classes = check_classes(classes)
    records = list(records)
    if not records:
        raise UserError(f"{out}: no pairs to write; give at least one clip")
    _check_rows([_row_of(r) for r in records])
    shape = records[0].onset.shape
    for r in records:
        for face in (r.onset, r.apex, r.rest):
            if face.shape != shape or face.dtype != np.uint8:
                raise ValueError(f"{r.clip}: {face.dtype}{face.shape} beside uint8{shape}")
        if not 0 <= r.label < len(classes):
            raise ValueError(f"{r.clip}: label {r.label} of {len(classes)} classes")
    folder = _dataset_folder(Path(out))
    if folder.exists():
        raise ValueError(f"{folder} exists already")
    # TFDS takes half a second to import, and a prediction, which imports this module, does not need TFDS.
    import tensorflow_datasets as tfds

    from icegan_jax.data.tfds_builder import IceganPairs

    tfds.disable_progress_bar()
    builder = IceganPairs(
        records=records,
        shape=(int(shape[0]), int(shape[1])),
        classes=classes,
        data_dir=str(out),
        file_format="array_record",
    )
    # TFDS prints a message about a download and creates a folder for it, although nothing is downloaded.
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as downloads:
        builder.download_and_prepare(download_dir=downloads)
    return _fingerprint(records, classes)


def load_pairs(data_dir: str | Path) -> Pairs:
    """Read all pairs of a prepared folder into memory (109 MB for 442 clips of 5 pairs).

    Raises:
        UserError: the folder is missing, is not a prepared folder, was changed after prepare, or has names that prepare
            does not accept.
    """
    import tensorflow_datasets as tfds  # see ``write_pairs``

    data_dir = Path(data_dir)
    folder = _dataset_folder(data_dir)
    remedy = f"make it with: python -m icegan_jax.prepare --source=SOURCE --raw=RAW --out={data_dir}"
    if not folder.is_dir() and folder.parent.is_dir():
        raise UserError(f"{data_dir}: prepared by an older version, without resting faces; prepare it again")
    if not (folder / "dataset_info.json").is_file():
        raise UserError(f"{data_dir}: no prepared dataset; {remedy}")
    try:
        builder = tfds.builder_from_directory(str(folder))
        classes = tuple(builder.info.features["label"].names)
        source = builder.as_data_source(SPLIT)
        faces = np.empty((3, len(source), *builder.info.features["onset"].shape[:2]), np.uint8)
        rows: list[_Row] = []

        def records() -> Iterator[Record]:
            """Yield one record at a time and store its faces and row: a list of records would double the memory."""
            for number, example in enumerate(source):
                r = _record_of(example)
                faces[:, number] = r.onset, r.apex, r.rest
                rows.append(_row_of(r))
                yield r

        fingerprint = _fingerprint(records(), classes)
    except Exception as error:  # array_record and TFDS raise many types of exception for a damaged file
        line = " ".join(str(error).split())[:200]
        raise UserError(f"{data_dir}: the prepared dataset is damaged ({line}); {remedy}") from error
    _check_fingerprint(data_dir, fingerprint, remedy)
    try:  # the folder may come from another source, and names become folders of a run
        check_classes(classes)
        _check_rows(rows)
    except UserError as error:
        raise UserError(f"{data_dir}: {error}") from None
    label, shift, dataset, subject, clip = zip(*rows, strict=True)
    return Pairs(
        onset=faces[0],
        apex=faces[1],
        rest=faces[2],
        label=np.array(label, np.int32),
        shift=np.array(shift, np.int32),
        dataset=np.array(dataset, np.str_),
        subject=np.array(subject, np.str_),
        clip=np.array(clip, np.str_),
        classes=classes,
        fingerprint=fingerprint,
    )


def select_database(pairs: Pairs, database: str) -> Pairs:
    """Return the pairs of one database, for single-database evaluation (paper, Table II).

    The fingerprint of the result is that of all pairs with the name of the database appended.

    Raises:
        UserError: there is no such database.
    """
    selected = pairs.dataset == database
    if not selected.any():
        names = ", ".join(sorted(set(pairs.dataset.tolist())))
        raise UserError(f"config.data.database is {database!r}: the prepared faces are of {names}")
    return replace(_select(pairs, selected), fingerprint=f"{pairs.fingerprint}, {database} alone")


def select_apexes(pairs: Pairs) -> Pairs:
    """Return the apexes alone, without their neighbors: the compared systems are trained on one picture per clip."""
    return _select(pairs, pairs.shift == 0)


def _select(pairs: Pairs, selected: NDArray[np.bool_]) -> Pairs:
    return replace(pairs, **{name: getattr(pairs, name)[selected] for name in _ARRAYS})


def _dataset_folder(data_dir: Path) -> Path:
    return data_dir / _NAME / VERSION


def _record_of(example: dict[str, Any]) -> Record:
    return Record(
        dataset=example["dataset"].decode(),
        subject=example["subject"].decode(),
        clip=example["clip"].decode(),
        label=int(example["label"]),
        shift=int(example["shift"]),
        onset=example["onset"][..., 0],
        apex=example["apex"][..., 0],
        rest=example["rest"][..., 0],
    )


def _row_of(record: Record) -> _Row:
    return record.label, record.shift, record.dataset, record.subject, record.clip


def _check_rows(rows: Sequence[_Row]) -> None:
    """Check that there are rows, that names can be folders, and that no clip has two labels or two apexes."""
    if not rows:
        raise UserError("holds no pairs; prepare it again")
    check_subjects(dict.fromkeys((dataset, subject) for _, _, dataset, subject, _ in rows))
    labels: dict[tuple[str, str, str], int] = {}
    keys: set[tuple[str, str, str, int]] = set()
    for label, shift, *names in rows:
        dataset, subject, clip = names
        if (dataset, subject, clip, shift) in keys:
            raise UserError(f"clip {'/'.join(names)} is there twice (shift {shift}); prepare it again")
        keys.add((dataset, subject, clip, shift))
        if labels.setdefault((dataset, subject, check_name(clip, "clip")), label) != label:
            raise UserError(f"clip {'/'.join(names)} has two labels; prepare it again")


def _check_fingerprint(data_dir: Path, fingerprint: str, remedy: str) -> None:
    """Compare the fingerprint with that in the summary of prepare, where there is one: tests write pairs without it."""
    summary = data_dir / SUMMARY_FILE
    if not summary.is_file():
        return
    try:
        recorded = json.loads(summary.read_text(encoding="utf-8"))["fingerprint"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{summary}: damaged; {remedy}") from None
    if recorded != fingerprint:
        raise UserError(
            f"{data_dir}: the pairs changed after prepare (fingerprint {fingerprint[:12]}, "
            f"recorded {str(recorded)[:12]}); {remedy}"
        )


def _fingerprint(records: Iterable[Record], classes: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    digest.update(repr(classes).encode())
    for r in records:
        header = (r.dataset, r.subject, r.clip, r.label, r.shift, r.onset.shape, r.apex.shape)
        digest.update(repr(header).encode())
        digest.update(r.onset.tobytes())
        digest.update(r.apex.tobytes())
        digest.update(r.rest.tobytes())
    return digest.hexdigest()
