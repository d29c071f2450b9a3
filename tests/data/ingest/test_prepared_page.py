import base64
import hashlib
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icegan_jax.data.clips import EXPRESSIONS, Clip
from icegan_jax.data.dataset import Record
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.prepared_page import write_page
from icegan_jax.data.ingest.repairs import Repair, make_repair

VOID = {"meta", "img", "input", "link", "br"}
SUMMARY = {
    "protocol": "megc2019",
    "apex_method": "difference",
    "frames_per_second": 123.456,
    "classes": {"all": {"negative": 2, "positive": 1}},
    "sources": ["/data/smic"],
}


class Page(HTMLParser):
    """Elements, attributes and text of a page; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open[-1:] == ["script"] else self.text).append(data)

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def clip(name: str, label: int = 0, dataset: str = "smic", subject: str = "s01") -> Clip:
    return Clip(dataset, subject, name, label, Path("frames"), 46, 59, 86)


def record(of: Clip, seed: int = 0, size: int = 128) -> Record:
    onset, apex = np.random.default_rng(seed).integers(90, 110, (2, size, size), np.uint8)
    return Record(of.dataset, of.subject, of.clip, of.label, 0, onset, apex)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Page]:
    def page(
        clips: list[Clip],
        repairs: list[Repair] | None = None,
        findings: list[Finding] | None = None,
        classes: tuple[str, ...] = EXPRESSIONS,
        size: int = 128,
    ) -> Page:
        file = tmp_path / "page.html"
        write_page(
            file,
            summary=SUMMARY,
            apexes=[record(c, seed, size) for seed, c in enumerate(clips)],
            clips=clips,
            repairs=repairs or [],
            findings=findings or [],
            classes=classes,
        )
        assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
        return Page(file.read_text(encoding="utf-8"))

    return page


def test_a_clip_has_its_faces_numbers_class_and_repairs(write: Callable[..., Page]) -> None:
    one, two = clip("s01_ne_01"), clip("s01_po_02", 1)
    page = write([one, two], [make_repair(two, "apex", None, 59, "spotted: difference")])
    assert "onset 46, apex 59, offset 86" in page.words()
    assert "apex → 59: spotted: difference" in page.words()
    first, second = page.every("figure")
    assert first["data-name"] == "smic/s01/s01_ne_01" and first["data-label"] == "0" and "data-repaired" not in first
    assert second["data-name"] == "smic/s01/s01_po_02" and second["data-label"] == "1" and "data-repaired" in second
    for number, image in enumerate(page.every("img")):
        head, _, data = str(image["src"]).partition(",")
        assert head == "data:image/jpeg;base64"
        strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), np.float64)
        assert strip.shape == (128, 3 * 128)
        expected = record((one, two)[number], number)
        for face, pixels in enumerate((expected.onset, expected.apex)):
            assert abs(strip[:, 128 * face : 128 * (face + 1)] - pixels).mean() < 4
        change = pixels.astype(float) - expected.onset
        assert np.corrcoef(strip[:, 256:].ravel(), change.ravel())[0, 1] > 0.9
        assert float(str(page.every("figure")[number]["data-change"])) == pytest.approx(abs(change).mean(), abs=1e-3)


def test_counts_are_per_database_and_class(write: Callable[..., Page]) -> None:
    clips = [clip("a"), clip("b", 1), clip("c", 2), clip("a", 2, "samm", "006"), clip("b", 2, "samm", "007")]
    words = write(clips).words()
    assert "database negative positive surprise clips subjects" in words
    assert "samm 0 0 2 2 2 smic 1 1 1 3 1 all 1 1 3 5 3" in words
    assert "Protocol megc2019: 5 clips; no error, no clip known to be missing. No findings." in words
    assert "None: every clip is used as annotated." in words


def test_five_classes_have_their_words(write: Callable[..., Page]) -> None:
    page = write([clip("a", 4)], classes=("happiness", "disgust", "repression", "surprise", "others"))
    assert "database happiness disgust repression surprise others clips subjects smic 0 0 0 0 1 1 1" in page.words()


def test_findings_are_grouped_by_kind_with_their_remedies(write: Callable[..., Page]) -> None:
    findings = [
        Finding("excluded", "casme2/sub01/EP1", "sheet, row 3", "others has no class"),
        Finding("missing", "smic/s03/s03_ne_03", "SMIC-E", "no folder", "use the plain SMIC HS release"),
        Finding("odd", "samm", "SAMM", "a kind of its own"),
    ]
    page = write([clip("a")], findings=findings)
    words = page.words()
    assert "1 clips; see errors and missing clips first. Missing clips: 1; left out by the protocol: 1." in words
    assert (
        "Missing clips (1) clip finding remedy where smic/s03/s03_ne_03 no folder use the plain SMIC HS release"
        in words
    )
    assert words.index("Missing clips (1)") < words.index("Left out by the protocol (1)") < words.index("odd (1)")
    assert [("open" in details) for details in page.every("details")] == [True, False, False]


def test_repairs_are_a_table_and_counted(write: Callable[..., Page]) -> None:
    a = clip("a")
    words = write(
        [a], [make_repair(a, "apex", "/", 66, "no number"), make_repair(a, "offset", 90, 86, "no such frame")]
    ).words()
    assert "2 repairs: 1 of apex, 1 of offset clip what was is reason smic/s01/a apex / 66 no number" in words
    assert "1 clips with a spotted apex or a repair" in words


def test_subjects_are_sections_in_order(write: Callable[..., Page]) -> None:
    page = write([clip("z", subject="s02"), clip("1_10"), clip("1_9"), clip("a", dataset="casme2", subject="sub02")])
    assert [f["data-name"] for f in page.every("figure")] == [
        "casme2/sub02/a",
        "smic/s01/1_9",
        "smic/s01/1_10",
        "smic/s02/z",
    ]
    assert len(page.every("section")) == 3
    assert "smic / s01 2" in page.words()


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


def test_names_are_escaped_everywhere(write: Callable[..., Page]) -> None:
    evil = Clip(EVIL, EVIL, EVIL, 0, Path("frames"), 1, 2, 3)
    page = write(
        [evil],
        [Repair(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)],
        [Finding(EVIL, EVIL, EVIL, EVIL, EVIL), Finding("note", EVIL, EVIL, EVIL, EVIL)],
        (EVIL, "b", "c"),
    )
    assert len(page.scripts) == 1 and len(page.every("script")) == 1
    assert len(page.every("img")) == 1  # the clip's own
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.every("figure")[0]["data-dataset"] == EVIL
    assert page.every("figure")[0]["data-name"] == f"{EVIL}/{EVIL}/{EVIL}"
    assert page.words().count(EVIL) > 15


def test_a_name_that_is_not_unicode_is_written(write: Callable[..., Page]) -> None:
    assert "bad ?" in write([clip("a")], findings=[Finding("note", "smic", "bad \udcff", "odd name")]).words()


def test_the_page_needs_nothing_else_and_runs_its_own_script_only(write: Callable[..., Page]) -> None:
    page = write([clip("a")])
    for _, attributes in page.elements:
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    (policy,) = (meta["content"] for meta in page.every("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in str(policy) and str(policy).startswith("default-src 'none'")
    style = page.words()
    assert "prefers-color-scheme: dark" in style and "url(" not in style and "@import" not in style
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.every("meta")
    assert "recognizable faces" in style and "must not be shared" in style


def test_the_script_finds_the_controls_it_names(write: Callable[..., Page]) -> None:
    page = write([clip("a")])
    (named,) = re.findall(r"const \{ (.*) \} = form.elements", page.scripts[0])
    controls = [a.get("name") for tag in ("input", "select", "output") for a in page.every(tag)]
    assert sorted(named.split(", ")) == sorted(map(str, controls))
    ids = {attributes["id"] for _, attributes in page.elements if attributes.get("id")}
    assert set(re.findall(r"getElementById\('(\w+)'\)", page.scripts[0])) == ids


def test_the_summary_is_in_words(write: Callable[..., Page]) -> None:
    words = write([clip("a")]).words()
    assert (
        "apex method difference frames per second 123.5 classes all (negative 2, positive 1) sources /data/smic"
        in words
    )


def test_many_clips_have_smaller_faces(write: Callable[..., Page]) -> None:
    page = write([clip(f"c{i}", subject=f"s{i % 9}") for i in range(1000)], size=16)
    sizes = {(image["width"], image["height"]) for image in page.every("img")}
    assert sizes == {("288", "96")}
