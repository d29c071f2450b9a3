import shutil
from collections import Counter
from pathlib import Path

import pytest

from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.collect_clips import CollectedClips, collect_clips, expand_sources, find_database
from icegan_jax.data.ingest.overrides import Override
from icegan_jax.errors import UserError
from tests.data.fabricated_casme2 import build_casme2
from tests.data.fabricated_databases import composite_clips, write_official
from tests.data.fabricated_samm import build_samm
from tests.data.fabricated_smic import build_smic

HEADER = "dataset,subject,clip,label,frames,onset,apex,offset"


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three databases of full size in one folder, in which no test may write."""
    root = tmp_path_factory.mktemp("databases")
    build_casme2(root / "CASME2", year=2019)
    build_samm(root / "SAMM")
    build_smic(root / "SMIC_all")
    return root


def own(folder: Path, *rows: str, frames: range = range(10, 31)) -> Source:
    """Write a clips.csv whose folder of frames, f, holds the given numbers in empty files."""
    (folder / "f").mkdir(parents=True)
    for n in frames:
        (folder / "f" / f"{n}.png").write_bytes(b"")
    (folder / "clips.csv").write_text("\n".join((HEADER, *rows)) + "\n")
    return Source("clips", folder / "clips.csv")


def kinds(collected: CollectedClips) -> Counter[str]:
    return Counter(f.kind for f in collected.findings)


def test_the_three_databases_give_the_442_clips(complete: Path, tmp_path: Path) -> None:
    collected = collect_clips([Source("megc2019", complete)], official=write_official(tmp_path / "official.csv"))
    assert collected.protocol == "megc2019"
    assert collected.sources == ["casme2", "samm", "smic"]
    assert collected.classes == ("negative", "positive", "surprise")
    assert {(c.dataset, c.subject, c.clip, c.label) for c in collected.clips} == {
        (*c.key, c.label) for c in composite_clips()
    }
    assert len(collected.clips) == 442
    assert (collected.differences, collected.damaged, collected.errors) == ([], [], [])
    assert sorted((r.clip, r.field, r.old) for r in collected.repairs) == [
        ("028_4_1", "apex", "1143"),
        ("032_3_1", "apex", "1930"),
    ]
    for clip in collected.clips:
        assert clip.onset < clip.offset
        assert clip.apex is None if clip.dataset == "smic" else clip.onset < (clip.apex or 0) <= clip.offset


def test_a_missing_a_surplus_and_an_emptied_folder(complete: Path, tmp_path: Path) -> None:
    root = shutil.copytree(complete / "SAMM", tmp_path / "SAMM", copy_function=_link)
    shutil.rmtree(root / "SAMM" / "006" / "006_1_2")
    for file in (root / "SAMM" / "028" / "028_4_1").iterdir():
        file.unlink()
    collected = collect_clips([Source("samm", root)])
    assert len(collected.clips) == 131
    assert [(f.kind, f.clip) for f in collected.differences] == [
        ("missing", "samm/006/006_1_2"),
        ("missing", "samm/028/028_4_1"),
    ]
    assert collected.errors == []


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def test_equal_subject_numbers_of_two_databases_are_two_persons(complete: Path, tmp_path: Path) -> None:
    mine = own(tmp_path, "mine,006,a,anger,f,10,15,20", "mine,s01,a,anger,f,10,15,20", "mine,sub01,a,surprise,f,10,,20")
    collected = collect_clips([Source("megc2019", complete), mine])
    assert collected.protocol == "three"
    for subject, database in (("006", "samm"), ("s01", "smic"), ("sub01", "casme2")):
        assert {c.dataset for c in collected.clips if c.subject == subject} == {"mine", database}
    assert not collected.errors


def test_one_clip_from_two_sources_is_an_error(complete: Path, tmp_path: Path) -> None:
    double = next(c for c in composite_clips() if c.dataset == "samm")
    mine = own(tmp_path, f"samm,{double.subject},{double.clip},anger,f,10,15,20", "samm,900,x,anger,f,10,15,20")
    collected = collect_clips([Source("samm", complete / "SAMM"), mine])
    (error,) = collected.errors
    assert error.clip == f"samm/{double.subject}/{double.clip}"
    assert "SAMM_Micro_FACS_Codes_v2.xlsx, row" in error.message
    assert error not in collected.damaged


def test_own_clips_take_the_same_path(tmp_path: Path) -> None:
    rows = ("d,a,c1,anger,f,10,5,20", "d,a,c2,happy,f,12,,40", "d,b,c1,surprise,f,90,95,99", "d,b,c2,anger,gone,1,2,3")
    collected = collect_clips([own(tmp_path, *rows)])
    assert (collected.protocol, collected.sources) == ("three", ["clips"])
    assert [(c.name, c.label, c.onset, c.apex, c.offset) for c in collected.clips] == [
        ("d/a/c1", 0, 10, 15, 20),
        ("d/a/c2", 1, 12, None, 30),
    ]
    assert [(r.field, r.new) for r in collected.repairs] == [("apex", "15"), ("offset", "30")]
    assert collected.damaged == collected.errors
    first, second = collected.errors
    assert (first.clip, first.where) == ("d/b/c1", f"{tmp_path / 'clips.csv'}, line 4")
    assert first.message.startswith("onset frame 90 is not in")
    assert "no such folder of frames" in second.message


def test_own_classes(tmp_path: Path) -> None:
    source = own(tmp_path, "d,a,c1,fatigue,f,10,15,20", "d,a,c2,Calm,f,10,15,20")
    collected = collect_clips([source], classes=("calm", "fatigue"))
    assert (collected.protocol, collected.classes) == ("own", ("calm", "fatigue"))
    assert [c.label for c in collected.clips] == [1, 0]
    with pytest.raises(UserError, match="clips.csv, line 2: label 'fatigue' has no class"):
        collect_clips([source])
    with pytest.raises(UserError, match="--classes .* --protocol=three"):
        collect_clips([source], "three", classes=("calm", "fatigue"))
    with pytest.raises(UserError, match="--classes .* --source=samm"):
        collect_clips([source, Source("samm", tmp_path)], classes=("calm", "fatigue"))


def test_protocols(complete: Path, tmp_path: Path) -> None:
    five = collect_clips([Source("samm", complete / "SAMM")], "five")
    assert (len(five.clips), five.classes) == (136, ("anger", "contempt", "happiness", "surprise", "other"))
    three = collect_clips([Source("casme2", complete / "CASME2")], "three")
    assert len(three.clips) == 156  # 255 without the 99 others
    mine = own(tmp_path, "d,a,c1,anger,f,10,15,20")
    for protocol in ("five", "megc2019"):
        with pytest.raises(UserError, match=f"--source=clips is no part of protocol {protocol}; use --protocol=three"):
            collect_clips([mine], protocol)
    with pytest.raises(UserError, match="protocol 'seven' is unknown; use one of megc2019, three, five"):
        collect_clips([mine], "seven")
    with pytest.raises(UserError, match="official.csv: the organizers' list is of casme2, samm, smic; remove"):
        collect_clips([mine], official=tmp_path / "official.csv")


def test_an_override_replaces_the_rule_and_is_recorded(complete: Path) -> None:
    rows = [
        Override("samm/028/028_4_1", None, 1133, None, "seen by eye", "fixes.csv, row 2"),
        Override("casme2/sub04/EP12_01f", None, 1, None, "filled in", "fixes.csv, row 3"),
        Override("028_4_2", 1, None, None, "x", "fixes.csv, row 4"),
        Override("samm/032/032_3_1", None, 1, None, "x", "fixes.csv, row 5"),
    ]
    collected = collect_clips([Source("megc2019", complete)], overrides=rows)
    (clip,) = [c for c in collected.clips if c.clip == "028_4_1"]
    assert clip.apex == 1133
    (row,) = collected.repairs
    assert (row.clip, row.field, row.old, row.new, row.reason) == ("028_4_1", "apex", "1143", "1133", "seen by eye")
    (note,) = [f for f in collected.findings if f.where == "fixes.csv, row 3"]
    assert (note.kind, note.clip) == ("note", "casme2/sub04/EP12_01f")
    assert "the protocol leaves this clip out" in note.message
    assert {f.where for f in collected.errors} == {"fixes.csv, row 4", "fixes.csv, row 5"}
    assert collected.damaged == []


def test_an_override_of_the_apex_is_applied_before_the_selection(tmp_path: Path) -> None:
    """A damaged apex cell leaves a CASME II clip out; an apex by hand selects the clip again."""
    root = build_casme2(tmp_path / "CASME2", form="csv")
    (table,) = root.rglob("*.csv")
    lines = table.read_text(encoding="utf-8").splitlines()
    (row,) = (n for n, line in enumerate(lines) if line.startswith("12,EP09_06"))
    header, cells = lines[0].split(","), lines[row].split(",")
    column = header.index("ApexFrame")
    onset, offset = (int(cells[header.index(name)]) for name in ("OnsetFrame", "OffsetFrame"))
    cells[column] = "?"
    lines[row] = ",".join(cells)
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    without = collect_clips([Source("casme2", root)])
    assert len(without.clips) == 144
    assert [f.clip for f in without.differences] == ["casme2/sub12/EP09_06"]
    override = Override("sub12/EP09_06", None, onset + 1, None, "seen by eye", "mine.csv, line 2")
    corrected = collect_clips([Source("casme2", root)], overrides=[override])
    assert len(corrected.clips) == 145 and not corrected.differences
    (made,) = (r for r in corrected.repairs if r.clip == "EP09_06" and r.field == "apex")
    assert (made.old, made.new, made.reason) == ("", str(onset + 1), "seen by eye")
    assert onset + 1 < offset


def test_the_organizers_list_is_a_further_check(complete: Path, tmp_path: Path) -> None:
    clips = composite_clips()
    less = write_official(tmp_path / "less.csv", [c for c in clips if c.clip != "006_1_2"])
    collected = collect_clips([Source("samm", complete / "SAMM")], official=less)
    assert [(f.kind, f.clip) for f in collected.differences] == [("surplus", "samm/006/006_1_2")]
    assert len(collected.clips) == 133


@pytest.mark.parametrize(
    ("names", "casme2", "samm", "smic"),
    [
        (("CASME II/a.csv", "SAMM_v2/b.xls", "SMIC_all_raw/"), "CASME II", "SAMM_v2", "SMIC_all_raw"),
        (
            ("CASME2-RAW/", "Cropped/", "a.xlsx", "samm/b.xlsx", "SAMM_CROP/", "SMIC_all_raw/", "SMIC-E/"),
            ".",
            "samm",
            ".",
        ),
        (("data/CASME2/", "data/SAMM/b.xlsx", "data/a.xlsx", "other/smic/"), "data", "data/SAMM", "other/smic"),
        (("CAS(ME)^2/x.xlsx", "casme2/a.xlsx", "SAMM_longvideos/", "SAMM/b.csv", "SMIC/"), "casme2", "SAMM", "SMIC"),
    ],
)
def test_the_three_databases_are_found_by_the_names_of_their_folders(
    tmp_path: Path, names: tuple[str, ...], casme2: str, samm: str, smic: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).touch()
    expanded = expand_sources([Source("megc2019", tmp_path, release="raw")])
    assert [(s.name, s.root, s.release) for s in expanded] == [
        (name, tmp_path / folder, "raw") for name, folder in (("casme2", casme2), ("samm", samm), ("smic", smic))
    ]


def test_a_missing_an_ambiguous_and_an_unknown_database(tmp_path: Path) -> None:
    for name in ("CASME2", "SAMM"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="no folder here is called like smic; give --source=smic"):
        find_database(tmp_path, "smic")
    for name in ("a/SMIC_all_raw", "b/SMIC_all_cropped"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(UserError, match="2 folders could be smic: a/SMIC_all_raw, b/SMIC_all_cropped; give --source"):
        find_database(tmp_path, "smic")
    with pytest.raises(
        UserError, match=r"source 'casme22' is unknown \(did you mean casme2\?\); use one of clips, megc2019, casme2"
    ):
        expand_sources([Source("casme22", tmp_path)])
    with pytest.raises(UserError, match="source samm is given twice; give one folder"):
        expand_sources([Source("samm", tmp_path / "SAMM"), Source("samm", tmp_path)])
    with pytest.raises(UserError, match="sources smic, smic_nir show the same people, .*; prepare each"):
        expand_sources([Source("smic", tmp_path), Source("smic_nir", tmp_path)])
