"""One case's folder: a copy of the small tree, perhaps an earlier prepared set, and what was damaged in them."""

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
class Site:
    """Where damage is done.

    Attributes:
        root: the case's folder; the tree is below ``root``/world, the earlier prepared set is ``root``/data.
        rng: source of all chance.
        touched: paths below ``root`` that were damaged, each as it was called before and is called after.
        said: what was done, a line per damage, for who reads the case.
    """

    root: Path
    rng: random.Random
    touched: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def world(self) -> Path:
        return self.root / "world"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def files(self, suffixes: tuple[str, ...] = (), below: str = "world") -> list[Path]:
        """Regular files, sorted; all where no suffix is given."""
        found = []
        for folder, _, names in os.walk(self.root / below):
            found += [Path(folder, name) for name in names]
        return sorted(p for p in found if p.is_file() and (not suffixes or p.suffix.lower() in suffixes))

    def pick(self, suffixes: tuple[str, ...] = (), below: str = "world") -> Path:
        """One of the files; of images a clip's, each clip as likely as the other."""
        files = self.files(suffixes, below)
        if suffixes == IMAGES:
            folders = sorted({path.parent for path in files})
            folder = self.rng.choice(folders)
            if re.search("Cropped|sub04|sub17", str(folder)):  # seldom used by anything
                folder = self.rng.choice(folders)
            files = [path for path in files if path.parent == folder]
        return self.rng.choice(files)

    def clip_folders(self) -> list[Path]:
        return sorted({path.parent for path in self.files(IMAGES)})

    def hit(self, what: str, *paths: Path) -> None:
        """Notes that a damage was done to these paths."""
        names = [path.relative_to(self.root).as_posix() for path in paths]
        self.touched += names
        self.said.append(f"{what}: {', '.join(map(ascii, names))}")

    def replace(self, path: Path, data: bytes) -> None:
        """Gives a file other content; the clean tree's file, which is the same one, stays."""
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
