from pathlib import Path

import pytest

from icegan_jax.data.ingest.annotation import Annotation, DatabaseAnnotation, Finding
from icegan_jax.data.ingest.official_list import compare_with_official_list, read_official_list
from icegan_jax.data.ingest.protocol import ClipSelection, select_clips
from icegan_jax.errors import UserError
from tests.data.fabricate import FabricatedClip
from tests.data.fabricated_casme2 import casme2_clips
from tests.data.fabricated_databases import composite_clips, write_official
from tests.data.fabricated_samm import samm_clips
from tests.data.fabricated_smic import smic_clips


def _selection(*clips: FabricatedClip, protocol: str = "megc2019") -> ClipSelection:
    def annotation(c: FabricatedClip) -> Annotation:
        apex = c.apex if isinstance(c.apex, int) else None
        return Annotation(*c.key, c.emotion.lower(), (), c.onset, apex, c.offset, "sheet.xlsx, row 2")

    names = dict.fromkeys(c.dataset for c in clips)
    return select_clips(
        {name: DatabaseAnnotation([annotation(c) for c in clips if c.dataset == name]) for name in names}, protocol
    )


def _compared(path: Path, selection: ClipSelection, without: str = "") -> list[Finding]:
    present = {a.key for a, _ in selection.annotations if a.clip != without}
    return compare_with_official_list(read_official_list(path), selection, present)


@pytest.mark.parametrize("form", ["442", "441", "header", "padded"])
def test_complete_set_agrees(tmp_path: Path, form: str) -> None:
    path = write_official(tmp_path / "gt.csv", form=form)
    findings = _compared(path, _selection(*casme2_clips(), *smic_clips(), *samm_clips()))
    assert [(f.kind, f.clip) for f in findings] == ([("note", "samm/032/032_3_1")] if form == "441" else [])


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("CASME II,1,EP01_01f,2", ("casme2", "sub01", "EP01_01f")),
        ("casme2, sub01 ,EP01_01f,2.0", ("casme2", "sub01", "EP01_01f")),
        ("samm,6,6_1_2,2", ("samm", "006", "006_1_2")),
        ("SAMM,006,006_1_2,2", ("samm", "006", "006_1_2")),
        ("smic,s1,s1_sur_01,2", ("smic", "s01", "s01_sur_01")),
        ("SMIC-HS,s01,s01_sur_01,2", ("smic", "s01", "s01_sur_01")),
    ],
)
def test_names_are_normalized(tmp_path: Path, line: str, key: tuple[str, str, str]) -> None:
    path = tmp_path / "gt.csv"
    path.write_text(f"{line}\n", encoding="utf-8")
    (row,) = read_official_list(path)
    assert row.key == key
    assert row.label == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mmew,1,a,0", "row 2: dataset 'mmew' is none of MEGC2019, whose databases are casme2, samm, smic"),
        ("samm,x,006_1_2,0", "subject 'x' is none of MEGC2019"),
        ("samm,6,006_1_2,3", "label '3' is none of MEGC2019"),
        ("samm,6,,0", "clip '' is none of MEGC2019"),
        ("casme2,1,EP01,0", "clip casme2/sub01/EP01 is already in gt.csv, row 1"),
    ],
)
def test_bad_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "gt.csv"
    path.write_text(f"casme2,sub01,EP01,0\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        read_official_list(path)
    assert "gt.csv, row 2" in str(caught.value)


def test_differences_are_named(tmp_path: Path) -> None:
    clips = [c for c in composite_clips() if c.dataset == "samm"]
    changed = [
        FabricatedClip(*c.key, c.emotion, 2, c.onset, c.apex, c.offset) if i == 0 else c
        for i, c in enumerate(clips)
        if i != 1
    ]
    added = FabricatedClip("samm", "006", "006_9_9", "Anger", 0, 1, 2, 3)
    path = write_official(tmp_path / "gt.csv", [*changed, added])
    findings = _compared(path, _selection(*samm_clips()))
    assert [(f.kind, f.clip) for f in findings] == [
        ("error", f"samm/{clips[0].subject}/{clips[0].clip}"),
        ("surplus", f"samm/{clips[1].subject}/{clips[1].clip}"),
        ("missing", "samm/006/006_9_9"),
    ]
    assert "surprise in gt.csv, row 1" in findings[0].message
    assert "not in the annotation" in findings[2].message


def test_a_clip_left_out_by_a_rule_names_the_reason(tmp_path: Path) -> None:
    clips = [c for c in casme2_clips() if c.label is not None]
    out = next(c for c in casme2_clips() if c.clip == "EP12_01f")
    path = write_official(tmp_path / "gt.csv", [*clips, FabricatedClip(*out.key, "disgust", 0, 8, 9, 10)])
    (finding,) = _compared(path, _selection(*casme2_clips()))
    assert (finding.kind, finding.clip) == ("missing", "casme2/sub04/EP12_01f")
    assert "left out: MEGC2019 left it out: no apex" in finding.message
