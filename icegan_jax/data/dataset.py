"""The prepared pairs on disk: TFDS and ArrayRecord, written and read without TensorFlow."""

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
from icegan_jax.data.names import check_classes, check_name, check_people
from icegan_jax.errors import UserError

VERSION = "1.0.0"  # of the TFDS dataset
SPLIT = "clips"  # "all" is reserved by TFDS
_NAME = "icegan_pairs"  # of the TFDS dataset: what TFDS makes of the builder's class, ``IceganPairs``
_Row = tuple[int, int, str, str, str]  # label, shift, dataset, subject, clip
_ARRAYS = ("onset", "apex", "label", "shift", "dataset", "subject", "clip")  # of Pairs, an entry per pair

# Written last into a prepared folder: its presence says that the folder is whole.
SUMMARY_FILE = "prepared.json"


@dataclass(frozen=True)
class Record:
    """One (onset, frame) pair of a clip.

    Attributes:
        dataset: name of the database.
        subject: person, unique within the dataset.
        clip: name, unique within (dataset, subject).
        label: an index into the dataset's classes.
        shift: the frame's position minus the apex's, -2 to 2; 0 is the apex itself.
        onset: uint8[h, w], the neutral face.
        apex: uint8[h, w], the face ``shift`` frames from the apex.
    """

    dataset: str
    subject: str
    clip: str
    label: int
    shift: int
    onset: NDArray[np.uint8]
    apex: NDArray[np.uint8]


@dataclass(frozen=True)
class Pairs:
    """All n prepared pairs in memory, in the order of the clips and, within a clip, of the shift.

    Attributes:
        onset: uint8[n, h, w], neutral faces.
        apex: uint8[n, h, w], the apex and its neighbours.
        label: int32[n], indices into ``classes``.
        shift: int32[n], -2 to 2; 0 is the apex.
        dataset: str[n].
        subject: str[n].
        clip: str[n].
        classes: names of the classes, in label order; ``EXPRESSIONS`` unless prepared with others.
        fingerprint: sha256 of the pixels, labels, shifts and names, in hexadecimal; of the classes
            too, where they are not ``EXPRESSIONS``.
    """

    onset: NDArray[np.uint8]
    apex: NDArray[np.uint8]
    label: NDArray[np.int32]
    shift: NDArray[np.int32]
    dataset: NDArray[np.str_]
    subject: NDArray[np.str_]
    clip: NDArray[np.str_]
    classes: tuple[str, ...]
    fingerprint: str


def write_pairs(out: str | Path, records: Iterable[Record], classes: Sequence[str] = EXPRESSIONS) -> str:
    """Writes the records, in their order, as a TFDS dataset under the folder ``out``.

    Args:
        out: the prepared folder.
        records: the pairs.
        classes: names of the classes, in label order; a class may have no record.

    Returns:
        The fingerprint that ``load_pairs`` will find.

    Raises:
        UserError: there are no records, the classes cannot be told apart, a name cannot be a folder's, or a
            clip has two labels or two apexes.
        ValueError: faces that are not uint8 of one [h, w] shape, a label without a class, or a
            dataset that is there already.
    """
    classes = check_classes(classes)
    records = list(records)
    if not records:
        raise UserError(f"{out}: no pairs to write; give at least one clip")
    _check_rows([_row_of(r) for r in records])
    shape = records[0].onset.shape
    for r in records:
        for face in (r.onset, r.apex):
            if face.shape != shape or face.dtype != np.uint8:
                raise ValueError(f"{r.clip}: {face.dtype}{face.shape} beside uint8{shape}")
        if not 0 <= r.label < len(classes):
            raise ValueError(f"{r.clip}: label {r.label} of {len(classes)} classes")
    folder = _folder(Path(out))
    if folder.exists():
        raise ValueError(f"{folder} exists already")
    # TFDS takes half a second to import, and a prediction, which imports this module, needs none of it.
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
    # TFDS announces a download and makes a folder for it; there is none.
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as downloads:
        builder.download_and_prepare(download_dir=downloads)
    return _fingerprint(records, classes)


def load_pairs(data_dir: str | Path) -> Pairs:
    """Reads all pairs of a prepared folder into memory (442 clips of 5 pairs: 72 MB).

    Raises:
        UserError: the folder is missing, not a prepared one, no longer holds what prepare wrote, or holds names that
            prepare refuses.
    """
    import tensorflow_datasets as tfds  # see ``write_pairs``

    data_dir = Path(data_dir)
    folder = _folder(data_dir)
    remedy = f"make it with: python -m icegan_jax.prepare --source=SOURCE --raw=RAW --out={data_dir}"
    if not (folder / "dataset_info.json").is_file():
        raise UserError(f"{data_dir}: no prepared dataset; {remedy}")
    try:
        builder = tfds.builder_from_directory(str(folder))
        classes = tuple(builder.info.features["label"].names)
        source = builder.as_data_source(SPLIT)
        faces = np.empty((2, len(source), *builder.info.features["onset"].shape[:2]), np.uint8)
        rows: list[_Row] = []

        def records() -> Iterator[Record]:
            """One at a time, faces and rows noted on the way: all of them in lists would take the memory twice."""
            for number, example in enumerate(source):
                r = _record_of(example)
                faces[:, number] = r.onset, r.apex
                rows.append(_row_of(r))
                yield r

        fingerprint = _fingerprint(records(), classes)
    except Exception as error:  # array_record and TFDS raise many kinds for a damaged file
        line = " ".join(str(error).split())[:200]
        raise UserError(f"{data_dir}: the prepared dataset is damaged ({line}); {remedy}") from error
    _check_fingerprint(data_dir, fingerprint, remedy)
    try:  # the folder may come from elsewhere, and names become folders of a run
        check_classes(classes)
        _check_rows(rows)
    except UserError as error:
        raise UserError(f"{data_dir}: {error}") from None
    label, shift, dataset, subject, clip = zip(*rows, strict=True)
    return Pairs(
        onset=faces[0],
        apex=faces[1],
        label=np.array(label, np.int32),
        shift=np.array(shift, np.int32),
        dataset=np.array(dataset, np.str_),
        subject=np.array(subject, np.str_),
        clip=np.array(clip, np.str_),
        classes=classes,
        fingerprint=fingerprint,
    )


def only_database(pairs: Pairs, database: str) -> Pairs:
    """The pairs of one database alone, as single-database evaluation takes them (paper, Table II).

    Their fingerprint is that of all pairs, with the database's name.

    Raises:
        UserError: there is no such database.
    """
    mine = pairs.dataset == database
    if not mine.any():
        names = ", ".join(sorted(set(pairs.dataset.tolist())))
        raise UserError(f"config.data.database is {database!r}: the prepared faces are of {names}")
    arrays = {name: getattr(pairs, name)[mine] for name in _ARRAYS}
    return replace(pairs, **arrays, fingerprint=f"{pairs.fingerprint}, {database} alone")


def _folder(data_dir: Path) -> Path:
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
    )


def _row_of(record: Record) -> _Row:
    return record.label, record.shift, record.dataset, record.subject, record.clip


def _check_rows(rows: Sequence[_Row]) -> None:
    """Refuses no rows, names that cannot be folders, and a clip with two labels or two apexes."""
    if not rows:
        raise UserError("holds no pairs; prepare it again")
    check_people(dict.fromkeys((dataset, subject) for _, _, dataset, subject, _ in rows))
    labels: dict[tuple[str, str, str], int] = {}
    seen: set[tuple[str, str, str, int]] = set()
    for label, shift, *names in rows:
        dataset, subject, clip = names
        if (dataset, subject, clip, shift) in seen:
            raise UserError(f"clip {'/'.join(names)} is there twice (shift {shift}); prepare it again")
        seen.add((dataset, subject, clip, shift))
        if labels.setdefault((dataset, subject, check_name(clip, "clip")), label) != label:
            raise UserError(f"clip {'/'.join(names)} has two labels; prepare it again")


def _check_fingerprint(data_dir: Path, fingerprint: str, remedy: str) -> None:
    """Compares with what prepare recorded, where it did: pairs can be written without it."""
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
    if classes != EXPRESSIONS:  # a set of the three keeps the fingerprint that it had before there were others
        digest.update(repr(classes).encode())
    for r in records:
        head = (r.dataset, r.subject, r.clip, r.label, r.shift, r.onset.shape, r.apex.shape)
        digest.update(repr(head).encode())
        digest.update(r.onset.tobytes())
        digest.update(r.apex.tobytes())
    return digest.hexdigest()
