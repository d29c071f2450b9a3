"""The reader in docs/add-a-database.md, as it is printed there, on a small tree."""

import re
import types
from pathlib import Path

import pytest

import icegan_jax
from icegan_jax.data.ingest import collect_clips
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.errors import UserError
from tests.data.databases.write_files import by_name, messages_of_kind, write_frames, write_xlsx

GUIDE = Path(__file__).parents[3] / "docs" / "add-a-database.md"
HEADER = ("Person", "Clip", "Start", "Peak", "End", "Feeling")


@pytest.fixture
def demo() -> types.ModuleType:
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    module = types.ModuleType("demo")
    exec(compile(code, str(GUIDE), "exec"), module.__dict__)
    return module


def tree(root: Path) -> Path:
    names = [f"{n:04d}.png" for n in range(1, 10)]
    for folder in ("p01/smile_1", "p02/smile_1", "p02/frown_1"):
        write_frames(root, f"DEMO/{folder}", names)
    rows = [("01", "smile_1", 1, 5, 9, "Happiness"), (2, "smile_1", 2, None, 9, "others"), (2, "cry_1", 1, 2, 3, "sad")]
    write_xlsx(root / "demo_labels.xlsx", [("DEMO, release 2",), HEADER, *rows])
    return root


def test_the_printed_reader_reads_the_tree(demo: types.ModuleType, tmp_path: Path) -> None:
    database = demo.read(Source("demo", tree(tmp_path)))
    clips = by_name(database)
    assert list(clips) == ["p01/smile_1", "p02/smile_1", "p02/cry_1"]
    first, second, lost = clips.values()
    assert (first.onset, first.apex, first.offset, first.emotion) == (1, 5, 9, "happiness")
    assert first.frames == (tmp_path / "DEMO/p01/smile_1",) and second.frames == (tmp_path / "DEMO/p02/smile_1",)
    assert second.apex is None and lost.frames == ()
    assert list(messages_of_kind(database, "surplus")) == ["demo/p02/frown_1"]
    with pytest.raises(UserError, match="no DEMO here: looked for folders of images such as p01/smile_1"):
        write_frames(tmp_path, "other/pictures")
        demo.read(Source("demo", tmp_path / "other"))


def test_registered_it_is_a_source_like_any_other(
    demo: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert '"demo": demo.read,' in GUIDE.read_text(encoding="utf-8")
    monkeypatch.setattr(collect_clips, "READERS", {"demo": demo.read})
    monkeypatch.setattr(collect_clips, "SOURCE_NAMES", ("demo",))
    collected = collect_clips.collect_clips([Source("demo", tree(tmp_path))])
    assert collected.protocol == "three"
    assert [(c.name, c.label, c.onset, c.apex, c.offset) for c in collected.clips] == [("demo/p01/smile_1", 1, 1, 5, 9)]
    assert [f.clip for f in collected.findings if f.kind == "missing"] == ["demo/p02/cry_1"]


def test_the_files_and_words_named_by_the_guide_exist() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    package = Path(icegan_jax.__file__).parent
    named = re.findall(r"`((?:icegan_jax|tests)/[\w/]+\.py)`", text)
    assert len(named) >= 5
    assert not [name for name in named if not (package.parent / name).is_file()]
    for file, word in (("clips.py", "_EMOTIONS"), ("ingest/protocol.py", "_NO_CLASS")):
        assert word in text and re.search(rf"^{word}\b", (package / "data" / file).read_text(), re.MULTILINE)
