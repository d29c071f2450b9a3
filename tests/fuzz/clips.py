"""Unusual and damaged clips.csv: refused in one line, or the clips are the same after preparation."""

import csv
import io
import random
from pathlib import Path

from icegan_jax.data.clips import COLUMNS, EXPRESSIONS, Clip, read_clips, write_clips
from icegan_jax.data.dataset import load_pairs, write_pairs
from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.errors import UserError
from tests.data.conftest import record
from tests.fuzz.harness import CaseResult, damage_bytes

# Emotion words with their classes or None; independent of the table of the package.
WORDS = {
    "negative": 0, "Anger": 0, "DISGUST": 0, "fear": 0, "sadness": 0, "positive": 1, "happiness": 1, " Happy ": 1,
    "surprise": 2, "Surprised": 2, "others": None, "": None, "anger happiness": None, "0": None, "negativ": None,
}  # fmt: skip
NAMES = (
    "s01", "01", "sub 1", "Anna", "é", "王", "a,b", "x;y", "tab", '"q"', "'", "..", "../up", "a/b", "a\\b", "", ".",
    "con", "S01", "e\u0301", "a\u0000", "a\nb", "\u202e", "=1+1", "-1", "@x", "x" * 300, "<script>alert(1)</script>",
    "~", "$(id)",
)  # fmt: skip
NUMBERS = ("0", "1", "7", "12", "999999999", "1000000000", "-1", "1.0", "1e3", "٤", "", " 5 ", "nan", "0x1", "9" * 400)
Row = dict[str, str]


def case(rng: random.Random, folder: Path, result: CaseResult) -> None:
    rows = [_sound(rng, number) for number in range(rng.randrange(1, 6))]
    unusual = rng.random() < 0.6
    if unusual:
        for _ in range(rng.choice((1, 1, 2))):
            column = rng.choice(COLUMNS)
            values = {"label": list(WORDS), "onset": NUMBERS, "apex": NUMBERS, "offset": NUMBERS}.get(column, NAMES)
            rng.choice(rows)[column] = rng.choice(values)
    order = list(COLUMNS)
    rng.shuffle(order)
    text = _text(rng, rows, order)
    data = _encoded(rng, text)
    result.kind = "cells" if unusual else "sound"
    changed = False
    if rng.random() < 0.4:
        result.kind, data = damage_bytes(rng, data)
        changed = True
    path = folder / "clips.csv"
    path.write_bytes(data)
    try:
        clips = read_clips(path)
    except UserError as error:
        result.require(unusual or changed, f"a sound file is refused: {error}")
        return result.record_refusal(error, "clips.csv")
    expected = {(r["dataset"].strip(), r["subject"].strip(), r["clip"].strip()): r for r in rows}
    for clip in clips:
        row = expected.get((clip.dataset, clip.subject, clip.clip))
        line = _line(row, order) if row else ""
        if changed and (row is None or line not in text or line.encode() not in data.replace(b"\r\n", b"\n")):
            continue  # this line's own bytes were damaged: any content is right
        result.require(row is not None, f"a clip that is nowhere: {clip.name!r}")
        if row is not None:
            actual = (clip.label, clip.onset, clip.apex, clip.offset)
            expected_values = (
                WORDS[row["label"]],
                *(int(row[name]) if row[name].strip() else None for name in COLUMNS[5:]),
            )
            result.require(changed or actual == expected_values, f"{row} was read as {actual}")
    _through_the_package(folder, clips, result)


def _sound(rng: random.Random, number: int) -> Row:
    onset = rng.randrange(1000)
    offset = onset + rng.randrange(1, 50)
    label = rng.choice([word for word, label in WORDS.items() if label is not None])
    cells = (f"d{rng.randrange(2)}", rng.choice(("s01", "02", "é", "a,b")), f"clip{number}", label, "frames")
    return dict(zip(COLUMNS, (*cells, str(onset), rng.choice(("", str(offset))), str(offset)), strict=True))


def _text(rng: random.Random, rows: list[Row], order: list[str]) -> str:
    text = io.StringIO()
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(text, lineterminator="\n", quoting=quoting, delimiter=rng.choice(",,,;\t"))
    writer.writerow(order)
    writer.writerows([row[name] for name in order] for row in rows)
    return text.getvalue()


def _line(row: Row, order: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([row[name] for name in order])
    return text.getvalue()


def _encoded(rng: random.Random, text: str) -> bytes:
    if rng.random() < 0.2:
        text = text.replace("\n", "\r\n")
    return text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16")), "surrogatepass")


def _through_the_package(folder: Path, clips: list[Clip], result: CaseResult) -> None:
    """Check that labels survive writing, preparing, loading and splitting into folds."""
    (folder / "again").mkdir()
    write_clips(folder / "again/clips.csv", clips)
    again = read_clips(folder / "again/clips.csv")
    result.require(_labels(again) == _labels(clips), "the written clips.csv has other labels")
    records = [record(c.dataset, c.subject, c.clip, c.label, 0, seed=n, size=2) for n, c in enumerate(clips)]
    try:
        write_pairs(folder / "prepared", records)
    except UserError as error:
        return result.record_refusal(error, *(clip.subject for clip in clips))
    pairs = load_pairs(folder / "prepared")
    keys = zip(pairs.dataset.tolist(), pairs.subject.tolist(), pairs.clip.tolist(), strict=True)
    actual = dict(zip(keys, pairs.label.tolist(), strict=True))
    result.require(actual == _labels(clips), "labels differ after preparation")
    result.require(set(actual.values()) <= set(range(len(EXPRESSIONS))), "a label without a class")
    try:
        folds = leave_one_subject_out(pairs)
    except UserError as error:
        return result.record_refusal(error, "nobody is left to train on")
    for fold in folds:
        inside = (folder / "run/folds" / fold.name).resolve()
        result.require(inside.parent == (folder / "run/folds").resolve(), f"a fold outside the run: {fold.name!r}")
        inside.mkdir(parents=True)
    result.require(len(list((folder / "run/folds").iterdir())) == len(folds), "two folds share a folder")
    return None


def _labels(clips: list[Clip]) -> dict[tuple[str, str, str], int]:
    return {(clip.dataset, clip.subject, clip.clip): clip.label for clip in clips}
