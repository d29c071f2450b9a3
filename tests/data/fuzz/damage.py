"""All kinds of damage, by name."""

from collections.abc import Mapping

from tests.data.fuzz import damage_folders as tree
from tests.data.fuzz import damage_outputs as earlier
from tests.data.fuzz import damage_tables as tables
from tests.data.fuzz.damage_bytes import Damage, flip, noise, other_image, truncate, zero
from tests.data.fuzz.workspace import IMAGES, VIDEOS

_WORKBOOK, _CSV = (".xlsx", ".xls"), (".csv",)

# What an earlier run left: a case with one of these begins with such a run.
EARLIER: Mapping[str, Damage] = {
    "cache entry": earlier.cache_entry,
    "cache entries swapped": earlier.cache_swap,
    "strange cache": earlier.cache_strange,
    "prepared set damaged": earlier.prepared_flip,
    "prepared set replaced": earlier.prepared_strange,
    "left by a killed run": earlier.leftovers,
}
KINDS: Mapping[str, Damage] = {
    "workbook: bytes flipped": flip(_WORKBOOK),
    "workbook: text flipped": tables.xml_flip,
    "workbook: truncated": truncate(_WORKBOOK),
    "workbook: zeros": zero(_WORKBOOK),
    "csv: bytes flipped": flip(_CSV),
    "csv: truncated": truncate(_CSV),
    "csv: zeros": zero(_CSV),
    "csv: encoding": tables.encoding,
    "table: odd cell": tables.odd_cell,
    "table: other number": tables.number_cell,
    "table: row or column": tables.row_or_column,
    "image: bytes flipped": flip(IMAGES),
    "image: truncated": truncate(IMAGES),
    "image: zeros": zero(IMAGES),
    "image: another": other_image,
    "video: bytes flipped": flip(VIDEOS),
    "video: truncated": truncate(VIDEOS),
    "video: zeros": zero(VIDEOS),
    "noise": noise,
    "frames deleted": tree.delete_frames,
    "folder deleted": tree.delete_folder,
    "table deleted": tree.delete_table,
    "files deleted": tree.delete_anything,
    "text among frames": tree.strange_file,
    "strange frame name": tree.strange_name,
    "strange folder name": tree.strange_folder,
    "files swapped": tree.swap_files,
    "frames swapped": tree.swap_frames,
    "folders swapped": tree.swap_folders,
    "tables swapped": tree.swap_tables,
    "renamed": tree.rename,
    "copied": tree.copy,
    "other kind of file": tree.other_kind,
    **EARLIER,
}
