from pathlib import Path

import pytest

from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.discover import expand_sources, find_database
from icegan_jax.errors import UserError


def folders(root: Path, *names: str) -> Path:
    """Folders below ``root``; a name with a dot is a file."""
    for name in names:
        path = root / name
        (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text("")
    return root


@pytest.mark.parametrize(
    ("names", "casme2", "samm", "smic"),
    [
        (("CASME2/a.xlsx", "SAMM/b/b.xlsx", "SMIC"), "CASME2", "SAMM", "SMIC"),
        (("CASME II/a.csv", "SAMM_v2/b.xls", "SMIC_all_raw"), "CASME II", "SAMM_v2", "SMIC_all_raw"),
        (("CASME2-RAW", "Cropped", "a.xlsx", "samm/b.xlsx", "SAMM_CROP", "SMIC_all_raw", "SMIC-E"), ".", "samm", "."),
        (("data/CASME2", "data/SAMM/b.xlsx", "data/a.xlsx", "other/smic"), "data", "data/SAMM", "other/smic"),
        (("CAS(ME)^2/x.xlsx", "casme2/a.xlsx", "SAMM_longvideos", "SAMM/b.csv", "SMIC"), "casme2", "SAMM", "SMIC"),
    ],
)
def test_databases_are_found_by_the_names_of_their_folders(
    tmp_path: Path, names: tuple[str, ...], casme2: str, samm: str, smic: str
) -> None:
    root = folders(tmp_path, *names)
    actual = expand_sources([Source("megc2019", root, release="raw")])
    assert [(s.name, s.root, s.release) for s in actual] == [
        ("casme2", root / casme2, "raw"),
        ("samm", root / samm, "raw"),
        ("smic", root / smic, "raw"),
    ]


def test_a_missing_or_ambiguous_database_is_an_error(tmp_path: Path) -> None:
    root = folders(tmp_path, "CASME2", "SAMM")
    with pytest.raises(UserError, match="no folder here is called like smic .found: CASME2, SAMM.; give --source=smic"):
        find_database(root, "smic")
    with pytest.raises(UserError, match="gone: no such folder"):
        find_database(root / "gone", "smic")
    folders(tmp_path, "a/SMIC_all_raw", "b/SMIC_all_cropped")
    with pytest.raises(UserError, match="2 folders could be smic: a/SMIC_all_raw, b/SMIC_all_cropped; give --source"):
        find_database(root, "smic")


def test_unknown_names_and_duplicates(tmp_path: Path) -> None:
    root = folders(tmp_path, "CASME2", "SAMM", "SMIC")
    with pytest.raises(UserError, match="source 'casme22' is unknown; use one of clips, megc2019, casme2"):
        expand_sources([Source("casme22", root)])
    with pytest.raises(UserError, match="source samm is given twice; give one folder"):
        expand_sources([Source("megc2019", root), Source("samm", root / "SAMM")])
    twice = [Source("clips", root), Source("clips", root)]
    assert expand_sources(twice) == twice
