from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from icegan_jax.data.ingest.annotation import Annotation, DatabaseAnnotation, Finding
from icegan_jax.data.ingest.expected_counts import compare_with_expected_counts
from icegan_jax.data.ingest.protocol import ClipSelection, select_clips
from icegan_jax.errors import UserError
from tests.data.fabricate import FabricatedClip
from tests.data.fabricated_casme2 import casme2_clips
from tests.data.fabricated_samm import samm_clips
from tests.data.fabricated_smic import smic_clips

_CLIPS = {"casme2": casme2_clips, "samm": samm_clips, "smic": smic_clips}
_COUNTS = {"casme2": (88, 32, 25), "samm": (92, 26, 15), "smic": (70, 51, 43)}
_SUBJECTS = {"casme2": 24, "samm": 28, "smic": 16}


def _annotation(fake: FabricatedClip, row: int = 2) -> Annotation:
    apex = fake.apex if isinstance(fake.apex, int) else None
    where = f"{fake.dataset}.xlsx, row {row}"
    return Annotation(*fake.key, fake.emotion.lower(), (), fake.onset, apex, fake.offset, where)


def _database(dataset: str, change: Callable[[Annotation], Iterable[Annotation]] = lambda a: [a]) -> DatabaseAnnotation:
    rows = [_annotation(fake, row) for row, fake in enumerate(_CLIPS[dataset](), 2)]
    return DatabaseAnnotation([b for a in rows for b in change(a)])


def _all_but(*clips: str) -> Callable[[Annotation], Iterable[Annotation]]:
    return lambda a: [] if a.clip in clips else [a]


def _with(clip: str, /, **fields: object) -> Callable[[Annotation], Iterable[Annotation]]:
    """Change the one clip "subject/clip"."""
    return lambda a: [replace(a, **fields) if f"{a.subject}/{a.clip}" == clip else a]  # type: ignore[arg-type]


def _selected(dataset: str, database: DatabaseAnnotation, protocol: str = "megc2019") -> ClipSelection:
    return select_clips({dataset: database}, protocol)


def _compared(selection: ClipSelection, without: Iterable[str] = ()) -> list[Finding]:
    """Return the findings on the counts where all clips but ``without`` have frames."""
    lost = set(without)
    return compare_with_expected_counts(selection, {a.key for a, _ in selection.annotations if a.clip not in lost})


def _kinds(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(f.kind, f.clip) for f in findings if f.kind != "note"]


def _sums(findings: Iterable[Finding]) -> str:
    (note,) = (f for f in findings if f.kind == "note")
    return note.message


def _keys(selection: ClipSelection) -> set[tuple[str, str, str]]:
    return {a.key for a, _ in selection.annotations}


@pytest.mark.parametrize("dataset", _CLIPS)
def test_megc2019_of_one_database(dataset: str) -> None:
    selection = _selected(dataset, _database(dataset))
    counts = Counter(label for _, label in selection.annotations)
    assert tuple(counts[k] for k in range(3)) == _COUNTS[dataset]
    assert len({a.subject for a, _ in selection.annotations}) == _SUBJECTS[dataset]
    assert {(*a.key, k) for a, k in selection.annotations} == {
        (*c.key, c.label) for c in _CLIPS[dataset]() if c.label is not None
    }
    excluded = [f for f in selection.findings if f.kind == "excluded"]
    assert len(excluded) + len(selection.annotations) == len(_CLIPS[dataset]())
    assert selection.classes == ("negative", "positive", "surprise")
    assert _compared(selection) == []


def test_every_clip_left_out_has_its_reason_and_place() -> None:
    findings = {f.clip: f for f in _selected("casme2", _database("casme2")).findings}
    assert "no apex" in findings["casme2/sub04/EP12_01f"].message
    assert "its apex is its onset" in findings["casme2/sub05/EP09_05f"].message
    assert "'sadness' has no class in protocol megc2019" in findings["casme2/sub24/EP07_01"].message
    assert all(f.where.startswith("casme2.xlsx, row ") for f in findings.values())
    assert all(
        "'other' has no class" in f.message
        for f in _selected("samm", _database("samm")).findings
        if f.kind == "excluded"
    )


def test_workbook_of_2019_gives_the_same_clips() -> None:
    relabelled = {("sub24", "EP07_01"), ("sub24", "EP07_04f"), ("sub24", "EP10_03")}

    def later(a: Annotation) -> Iterable[Annotation]:
        return [replace(a, emotion="surprise") if (a.subject, a.clip) in relabelled else a]

    before, after = _selected("casme2", _database("casme2")), _selected("casme2", _database("casme2", later))
    assert _keys(before) == _keys(after)
    assert _compared(after) == []
    reasons = [f.message for f in after.findings if (f.clip.split("/")[1], f.clip.split("/")[2]) in relabelled]
    assert len(reasons) == 3
    assert all("2019" in reason for reason in reasons)


@pytest.mark.parametrize("clip", ["sub04/EP12_01f", "sub05/EP09_05f"])
def test_an_apex_filled_in_by_hand_does_not_select_the_clip(clip: str) -> None:
    selection = _selected("casme2", _database("casme2", _with(clip, apex=10)))
    assert len(selection.annotations) == 145
    assert f"casme2/{clip}" not in {a.name for a, _ in selection.annotations}
    assert _compared(selection) == []


@pytest.mark.parametrize("fields", [{"apex": None}, {"apex": 8, "onset": 8}])
def test_other_unusable_apex_is_missing_by_name(fields: dict[str, int | None]) -> None:
    selection = _selected("casme2", _database("casme2", _with("sub05/EP12_03f", **fields)))
    assert len(selection.annotations) == 144
    assert "casme2/sub05/EP12_03f" in {f.clip for f in selection.findings if f.kind == "excluded"}
    findings = _compared(selection)
    assert _kinds(findings) == [("missing", "casme2/sub05/EP12_03f")]
    assert "apex" in findings[0].message
    assert (
        _sums(findings)
        == "144 of 145 clips: 88 of 88 negative, 32 of 32 positive, 24 of 25 surprise; 24 of 24 subjects"
    )


def test_clip_without_frames_is_missing_by_name() -> None:
    findings = _compared(_selected("samm", _database("samm")), without=["006_1_2"])
    assert _kinds(findings) == [("missing", "samm/006/006_1_2")]
    assert findings[0].where.startswith("samm.xlsx, row ")
    assert findings[0].remedy == "restore its folder"
    # A clip that the protocol leaves out may lie there or not.
    assert _compared(_selected("samm", _database("samm")), without=["025_3_1"]) == []


def test_surplus_by_name_and_by_number() -> None:
    first = casme2_clips()[0]
    assert first.emotion == "disgust"
    strange = replace(_annotation(first), subject="sub10", clip="EP30_01")
    more = replace(_annotation(first), clip="EP30_02")
    database = DatabaseAnnotation([*_database("casme2").annotations, strange, more])
    findings = _compared(_selected("casme2", database))
    assert [(f.kind, f.clip, f.message) for f in findings[:-1]] == [
        ("surplus", "casme2/sub10/EP30_01", "its subject has no clip in MEGC2019"),
        ("surplus", "casme2", "negative: 89 of 88 clips"),
    ]


def test_changed_label_shows_in_two_classes() -> None:
    clip = next(c for c in samm_clips() if c.label == 0)
    findings = _compared(_selected("samm", _database("samm", _with(f"{clip.subject}/{clip.clip}", emotion="surprise"))))
    assert [(f.kind, f.message) for f in findings[:-1]] == [
        ("missing", "negative: 91 of 92 clips"),
        ("surplus", "surprise: 16 of 15 clips"),
    ]


@pytest.mark.parametrize(
    ("dataset", "emotion", "protocol"),
    [
        ("casme2", "disgusted", "megc2019"),
        ("casme2", "anger", "megc2019"),
        ("samm", "repression", "megc2019"),
        ("samm", "?", "three"),
        ("samm", "joy", "five"),
    ],
)
def test_unknown_word_names_the_row(dataset: str, emotion: str, protocol: str) -> None:
    first = _CLIPS[dataset]()[0]
    change = _with(f"{first.subject}/{first.clip}", emotion=emotion)
    with pytest.raises(UserError) as caught:
        _selected(dataset, _database(dataset, change), protocol)
    message = f"{dataset}.xlsx, row 2: emotion {emotion!r} of clip {dataset}/{first.subject}/{first.clip} is unknown ("
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("; correct the cell")


def test_odd_spelling_of_a_word_is_read() -> None:
    database = _database("casme2", lambda a: [replace(a, emotion=f" {a.emotion.capitalize()}\u00a0")])
    assert len(_selected("casme2", database).annotations) == 145
    others = _database("samm", lambda a: [replace(a, emotion="others" if a.emotion == "other" else a.emotion)])
    assert len(_selected("samm", others).annotations) == 133


def test_three_takes_every_clip_with_a_class() -> None:
    selection = select_clips({name: _database(name) for name in _CLIPS}, "three")
    counts = Counter((a.dataset, k) for a, k in selection.annotations)
    assert [counts["casme2", k] for k in range(3)] == [63 + 27 + 7 + 2, 32, 25]
    assert [counts["samm", k] for k in range(3)] == [92, 26, 15]
    assert [counts["smic", k] for k in range(3)] == [70, 51, 43]
    assert _compared(selection) == []
    assert _kinds(_compared(selection, without=["EP12_01f"])) == [("missing", "casme2/sub04/EP12_01f")]


@pytest.mark.parametrize(
    ("emotion", "label"),
    [("surprise+surprised", 2), ("Surprise+Positive", None), ("others+fear", None), ("unclear", None)],
)
def test_three_of_another_database(emotion: str, label: int | None) -> None:
    annotation = Annotation("fourdme", "1", "c", emotion, (), 1, 2, 3, "t.xlsx, row 5")
    selection = _selected("fourdme", DatabaseAnnotation([annotation]), "three")
    assert [k for _, k in selection.annotations] == ([] if label is None else [label])
    assert [(f.kind, f.clip, f.where) for f in selection.findings] == (
        [("excluded", "fourdme/1/c", "t.xlsx, row 5")] if label is None else []
    )


@pytest.mark.parametrize(
    ("dataset", "classes", "counts"),
    [
        ("casme2", ("happiness", "disgust", "repression", "surprise", "others"), (32, 63, 27, 25, 99)),
        ("samm", ("anger", "contempt", "happiness", "surprise", "other"), (57, 12, 26, 15, 26)),
    ],
)
def test_five(dataset: str, classes: tuple[str, ...], counts: tuple[int, ...]) -> None:
    selection = _selected(dataset, _database(dataset), "five")
    counts_by_label = Counter(label for _, label in selection.annotations)
    assert selection.classes == classes
    assert tuple(counts_by_label[k] for k in range(5)) == counts
    assert _compared(selection) == []
    assert _kinds(_compared(_selected(dataset, DatabaseAnnotation(_database(dataset).annotations[10:]), "five")))


def test_five_of_2019_has_three_more() -> None:
    names = ("EP07_01", "EP07_04f", "EP10_03")
    later = _database(
        "casme2", lambda a: [replace(a, emotion="surprise") if a.subject == "sub24" and a.clip in names else a]
    )
    selection = _selected("casme2", later, "five")
    assert len(selection.annotations) == 249
    assert _compared(selection) == []


def test_sources_that_do_not_fit() -> None:
    database = DatabaseAnnotation([])
    with pytest.raises(UserError, match=r"mmew, smic_vis: no part of MEGC2019.*use --protocol=three"):
        select_clips({"mmew": database, "samm": database, "smic_vis": database}, "megc2019")
    with pytest.raises(UserError, match="protocol five is for casme2 alone or samm alone, not casme2, samm"):
        select_clips({"casme2": database, "samm": database}, "five")
    with pytest.raises(UserError, match="alone, not smic;"):
        select_clips({"smic": database}, "five")
