"""End to end: from fabricated trees of the three databases to the 442 clips of MEGC2019."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from icegan_jax.data.databases import READERS, Source
from icegan_jax.data.ingest.annotation import Annotation, ClipKey, Finding
from icegan_jax.data.ingest.collect_clips import collect_clips
from icegan_jax.data.ingest.expected_counts import compare_with_expected_counts
from icegan_jax.data.ingest.official_list import compare_with_official_list, read_official_list
from icegan_jax.data.ingest.protocol import ClipSelection, select_clips
from icegan_jax.data.video import list_frames
from icegan_jax.errors import UserError
from tests.data.fabricate import FabricatedClip
from tests.data.fabricated_casme2 import build_casme2, casme2_clips
from tests.data.fabricated_databases import NOT_IN_SMIC_E, composite_clips, write_official
from tests.data.fabricated_samm import build_samm, samm_clips
from tests.data.fabricated_smic import build_smic, smic_clips

# Clips per class and number of subjects (docs/databases.md, "MEGC2019 clips").
_COMPLETE = {"casme2": ((88, 32, 25), 24), "samm": ((92, 26, 15), 28), "smic": ((70, 51, 43), 16)}
_CLIPS = {clip.key: clip for clip in (*casme2_clips(), *samm_clips(), *smic_clips())}

Build = Callable[[Path], Path]


def _select(roots: Mapping[str, Path]) -> tuple[ClipSelection, dict[ClipKey, tuple[Annotation, int]]]:
    """Return the selection, and its clips that have frames."""
    selection = select_clips({name: READERS[name](Source(name, root)) for name, root in roots.items()}, "megc2019")
    return selection, {a.key: (a, label) for a, label in selection.annotations if a.frames}


def _numbers(dataset: str, present: Mapping[ClipKey, tuple[Annotation, int]]) -> tuple[tuple[int, ...], int]:
    """Return the clips per class and the number of subjects of one database."""
    counts = Counter(label for a, label in present.values() if a.dataset == dataset)
    return tuple(counts[k] for k in range(3)), len({a.subject for a, _ in present.values() if a.dataset == dataset})


def _faults(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(f.kind, f.clip) for f in findings if f.kind != "note"]


def _check(dataset: str, root: Path) -> None:
    """Check that the database is complete and that labels and frames are those of the annotation."""
    selection, present = _select({dataset: root})
    assert _numbers(dataset, present) == _COMPLETE[dataset]
    assert compare_with_expected_counts(selection, present) == []
    assert {key: label for key, (_, label) in present.items()} == {
        clip.key: clip.label for clip in composite_clips() if clip.dataset == dataset
    }
    for key, (annotation, _) in present.items():
        _check_frames(annotation, _CLIPS[key])


def _check_frames(annotation: Annotation, clip: FabricatedClip) -> None:
    numbers = list_frames(annotation.frames[0])
    assert (annotation.onset or numbers[0], annotation.offset or numbers[-1]) == (clip.onset, clip.offset)
    assert annotation.apex == clip.apex
    assert clip.onset in numbers


@pytest.mark.parametrize(
    ("year", "layout", "form"), [(2014, "raw", "xlsx"), (2019, "selected", "csv"), (2019, "cropped", "xlsx")]
)
def test_casme2(tmp_path: Path, year: int, layout: str, form: str) -> None:
    _check("casme2", build_casme2(tmp_path, year, layout, nested=layout != "raw", form=form))


@pytest.mark.parametrize(
    "build",
    [
        lambda root: build_samm(root, nested=True),
        lambda root: build_samm(root, folder="SAMM_CROP", preamble=False),
    ],
    ids=["nested", "cropped, no preamble"],
)
def test_samm(tmp_path: Path, build: Build) -> None:
    _check("samm", build(tmp_path))


@pytest.mark.parametrize(("release", "nested"), [("raw", True), ("cropped", False)])
def test_smic(tmp_path: Path, release: str, nested: bool) -> None:
    _check("smic", build_smic(tmp_path, release, nested, vis=nested))


def test_smic_e_has_157_and_names_the_seven(tmp_path: Path) -> None:
    selection, present = _select({"smic": build_smic(tmp_path, "long", nested=True)})
    assert _numbers("smic", present) == ((65, 51, 41), 16)
    assert len(present) == 157
    findings = compare_with_expected_counts(selection, present)
    assert sorted(_faults(findings)) == [("missing", f"smic/{clip[:3]}/{clip}") for clip in sorted(NOT_IN_SMIC_E)]
    assert findings[-1].message.startswith("157 of 164 clips: 65 of 70 negative, 51 of 51 positive, 41 of 43 surprise")
    assert present["smic", "s18", "s18_sur_03"][1] == 2
    for key, (annotation, _) in present.items():
        _check_frames(annotation, _CLIPS[key])


def test_smic_e_without_saved_values_is_an_error(tmp_path: Path) -> None:
    root = build_smic(tmp_path, "long", cached=False)
    with pytest.raises(UserError, match=r"SMIC-HS-E_annotation\.xlsx, row 2: offsetf is a formula whose value was not"):
        _select({"smic": root})


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, Path]:
    builds: dict[str, Build] = {
        "casme2": lambda root: build_casme2(root, 2019, "cropped"),
        "samm": build_samm,
        "smic": lambda root: build_smic(root, "cropped"),
    }
    for name in builds:
        (tmp_path / name).mkdir()
    return {name: build(tmp_path / name) for name, build in builds.items()}


@pytest.mark.parametrize("form", ["442", "441", "header", "padded"])
def test_the_442_clips_agree_with_the_list(tmp_path: Path, roots: dict[str, Path], form: str) -> None:
    selection, present = _select(roots)
    assert len(present) == 442
    assert len({(a.dataset, a.subject) for a, _ in present.values()}) == 68
    assert Counter(label for _, label in present.values()) == {0: 250, 1: 109, 2: 83}
    assert {name: _numbers(name, present) for name in roots} == _COMPLETE
    assert compare_with_expected_counts(selection, present) == []
    official = read_official_list(write_official(tmp_path / "combined_3class_gt.csv", form=form))
    assert _faults(compare_with_official_list(official, selection, present)) == []


def test_every_repair_of_the_442_clips_is_listed(roots: dict[str, Path]) -> None:
    collected = collect_clips([Source(name, root) for name, root in roots.items()])
    assert len(collected.clips) == 442
    assert collected.differences == []
    assert [(r.clip, r.field, r.old, r.new) for r in collected.repairs] == [
        ("EP01_08", "apex", "10", "9"),
        ("028_4_1", "apex", "1143", "1132"),
        ("032_3_1", "apex", "1930", "4928"),
    ]
    gaps = {f.clip.split("/")[-1] for f in collected.findings if "no frame" in f.message and f.kind == "note"}
    assert gaps == {"EP01_08", "s03_po_08", "s03_sur_01", "s03_sur_05", "s03_ne_16"}
