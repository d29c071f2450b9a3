"""The page about recognition explains every quality flag, and no other."""

import re

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "recognize.md"


def test_every_flag_is_explained() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Flags")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    source = "".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "icegan_jax" / "inference").glob("*.py"))
    )
    flags = set(re.findall(r"\bQualityFlag\(\s*\"(\w+)\"", source))
    assert len(flags) > 10 and len(explained) == len(set(explained)) and set(explained) == flags
