"""The folder of a fuzz case: a copy of the small tree, perhaps an earlier prepared folder, and a log of the damage."""

import os
import random
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

TABLES = (".xlsx", ".xls", ".csv")
IMAGES = (".jpg", ".png", ".bmp")
VIDEOS = (".avi", ".mp4", ".gif")


@dataclass
class Workspace:
    """The folder of a fuzz case.

    Attributes:
        root: the case's folder; the tree is below ``root``/sources, the earlier prepared folder is ``root``/data.
        rng: source of all random numbers.
        damaged_paths: damaged paths below ``root``, with the names before and after a renaming.
        log: a line per damage.
    """

    root: Path
    rng: random.Random
    damaged_paths: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def sources(self) -> Path:
        return self.root / "sources"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def files(self, suffixes: tuple[str, ...] = (), below: str = "sources") -> list[Path]:
        """Regular files, sorted; all where no suffix is given."""
        actual = []
        for folder, _, names in os.walk(self.root / below):
            actual += [Path(folder, name) for name in names]
        return sorted(p for p in actual if p.is_file() and (not suffixes or p.suffix.lower() in suffixes))

    def pick(self, suffixes: tuple[str, ...] = (), below: str = "sources") -> Path:
        """Return a random file; of images, each clip has the same probability."""
        files = self.files(suffixes, below)
        if suffixes == IMAGES:
            folders = sorted({path.parent for path in files})
            folder = self.rng.choice(folders)
            if re.search("Cropped|sub04|sub17", str(folder)):  # few commands use these
                folder = self.rng.choice(folders)
            files = [path for path in files if path.parent == folder]
        return self.rng.choice(files)

    def clip_folders(self) -> list[Path]:
        return sorted({path.parent for path in self.files(IMAGES)})

    def record_damage(self, what: str, *paths: Path) -> None:
        """Record a damage of these paths."""
        names = [path.relative_to(self.root).as_posix() for path in paths]
        self.damaged_paths += names
        self.log.append(f"{what}: {', '.join(map(ascii, names))}")

    def replace(self, path: Path, data: bytes) -> None:
        """Give a file other content, and leave the clean tree's file, to which it is a hard link, as it is."""
        path.unlink()
        path.write_bytes(data)

    def remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def swap(self, a: Path, b: Path) -> None:
        aside = a.with_name("aside")
        a.rename(aside)
        b.rename(a)
        aside.rename(b)
