from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.clips import EXPRESSIONS, Clip
from icegan_jax.data.dataset import Record
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.prepared_page import sort_key, write_contact_sheet, write_page
from icegan_jax.data.ingest.repairs import Repair, make_repair
from icegan_jax.reporting.face_grid import difference_image
from tests.reporting.parsed_page import HOSTILE, ParsedPage

SUMMARY = {
    "protocol": "megc2019",
    "apex_method": "difference",
    "frames_per_second": 123.456,
    "classes": {"all": {"negative": 2, "positive": 1}},
    "sources": ["raw/smic"],
}


def clip(name: str, label: int = 0, dataset: str = "smic", subject: str = "s01") -> Clip:
    return Clip(dataset, subject, name, label, Path("frames"), 46, 59, 86)


def record(of: Clip, seed: int = 0) -> Record:
    onset, apex = np.random.default_rng(seed).integers(90, 110, (2, 128, 128), np.uint8)
    return Record(of.dataset, of.subject, of.clip, of.label, 0, onset, apex, onset)


WritePage = Callable[..., ParsedPage]


@pytest.fixture
def write(tmp_path: Path) -> WritePage:
    def page(
        clips: list[Clip],
        repairs: list[Repair] | None = None,
        findings: list[Finding] | None = None,
        classes: tuple[str, ...] = EXPRESSIONS,
    ) -> ParsedPage:
        file = tmp_path / "page.html"
        write_page(
            file,
            summary=SUMMARY,
            apexes=[record(c, seed) for seed, c in enumerate(clips)],
            clips=clips,
            repairs=repairs or [],
            findings=findings or [],
            classes=classes,
        )
        return ParsedPage(file.read_text(encoding="utf-8"))

    return page


def test_a_clip_has_its_faces_numbers_class_and_repairs(write: WritePage) -> None:
    one, two = clip("s01_ne_01"), clip("s01_po_02", 1)
    page = write([one, two], [make_repair(two, "apex", None, 59, "spotted: difference")])
    assert "smic s01 s01_ne_01 negative 46 59 86 6.7" in page.words()
    assert "apex → 59: spotted: difference" in page.words()
    rows = [row for row in page.every("tr") if "data-database" in row]
    assert [row["data-class"] for row in rows] == ["negative", "positive"]
    assert [row.get("data-repaired") for row in rows] == [None, "yes"]
    pictures = page.pictures()
    for number, prepared in enumerate((one, two)):
        expected = record(prepared, number)
        onset, apex, behind, difference = pictures[4 * number : 4 * number + 4]
        for picture, face in ((onset, expected.onset), (behind, expected.onset), (apex, expected.apex)):
            assert np.array_equal(picture[..., 0], face)  # without losses: the two alternate
        assert np.abs(difference.astype(float) - difference_image(expected.onset, expected.apex)).mean() < 10


def test_counts_are_per_database_and_class(write: WritePage) -> None:
    clips = [clip("a"), clip("b", 1), clip("c", 2), clip("a", 2, "samm", "006"), clip("b", 2, "samm", "007")]
    words = write(clips).words()
    assert "database negative positive surprise clips subjects" in words
    assert "samm 0 0 2 2 2 smic 1 1 1 3 1 all 1 1 3 5 3" in words
    assert "Protocol megc2019: 5 clips; no error, no clip known to be missing. No findings." in words
    assert "None: every clip is used as annotated." in words
    assert "apex method difference frames per second 123.5 classes all (negative 2, positive 1) sources" in words


def test_findings_are_grouped_by_kind_with_their_remedies_and_repairs_are_counted(write: WritePage) -> None:
    findings = [
        Finding("excluded", "casme2/sub01/EP1", "sheet, row 3", "others has no class"),
        Finding("missing", "smic/s03/s03_ne_03", "SMIC-E", "no folder", "use the plain SMIC HS release"),
        Finding("odd", "samm", "bad \udcff", "a kind of its own"),
    ]
    a = clip("a")
    repairs = [make_repair(a, "apex", "/", 66, "no number"), make_repair(a, "offset", 90, 86, "no such frame")]
    page = write([a], repairs, findings)
    words = page.words()
    assert "1 clips; see errors and missing clips first. Missing clips: 1; left out by the protocol: 1." in words
    assert "clip finding remedy where smic/s03/s03_ne_03 no folder use the plain SMIC HS release SMIC-E" in words
    assert words.index("Missing clips (1)") < words.index("Left out by the protocol (1)") < words.index("odd (1)")
    assert [("open" in details) for details in page.every("details")] == [True, False, False, False]
    assert "2 repairs: 1 of apex, 1 of offset" in words and "smic/s01/a apex / 66 no number" in words
    assert "1 clips with a spotted apex or a repair" in words and "bad ?" in words


def test_names_are_escaped_and_the_page_is_self_contained(write: WritePage) -> None:
    page = write(
        [Clip(HOSTILE, HOSTILE, HOSTILE, 0, Path("frames"), 1, 2, 3)],
        [Repair(*[HOSTILE] * 7)],
        [Finding(*[HOSTILE] * 5), Finding("note", *[HOSTILE] * 4)],
        (HOSTILE, "b", "c"),
    )
    page.check_self_contained()
    assert len(page.every("img")) == 4 and page.words().count(HOSTILE) > 15
    assert "must not be shared" in page.words()


def level(name: str, gray: int, subject: str = "s", dataset: str = "d") -> Record:
    """A clip of flat gray faces that do not change."""
    face = np.full((16, 16), gray, np.uint8)
    return Record(dataset, subject, name, 0, 0, face, face, face)


def sheet_grays(path: Path) -> list[int]:
    """Return the gray level of the onset of each clip of a contact sheet, row by row."""
    with Image.open(path) as image:
        sheet: NDArray[np.uint8] = np.asarray(image)[..., 0]
    centers = sheet[20 + 48 :: 120, 16 + 48 :: 3 * 96 + 8]
    return [int(gray) for row in centers for gray in row if gray < 250]


def test_the_contact_sheet_sorts_clips_by_dataset_subject_and_number(tmp_path: Path) -> None:
    records = [level("1_10", 60, "s2"), level("1_2", 50, "s2"), level("1_1", 40, "s1"), level("é", 30, "s9", "a")]
    write_contact_sheet(tmp_path / "sheet.png", records, EXPRESSIONS)
    assert sheet_grays(tmp_path / "sheet.png") == [30, 40, 50, 60]
    assert [r.clip for r in sorted(records, key=sort_key)] == ["é", "1_1", "1_2", "1_10"]


@pytest.mark.parametrize("count,sheets", [(442, 1), (700, 2)])
def test_many_clips_go_onto_further_sheets(tmp_path: Path, count: int, sheets: int) -> None:
    write_contact_sheet(tmp_path / "s.png", [level(f"{i:03d}", i % 200) for i in range(count)], EXPRESSIONS)
    files = [tmp_path / "s.png", tmp_path / "s_2.png"][:sheets]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert [gray for file in files for gray in sheet_grays(file)] == [i % 200 for i in range(count)]
    with Image.open(files[0]) as image:
        assert max(image.size) < 4900
