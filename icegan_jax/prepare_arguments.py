"""The arguments of the command prepare, and its help."""

import argparse

from icegan_jax.data.apex import METHODS
from icegan_jax.data.preparing.preparation import REGISTRATIONS, SIZE
from icegan_jax.data.readers.source import RELEASES
from icegan_jax.data.selection.locating import NAMES
from icegan_jax.data.selection.protocol import PROTOCOLS

# The source that is no data: faces that the program draws.
PROCEDURAL = "procedural"
# What is drawn where nothing else is asked for.
DRAWN = {"seed": 0, "subjects": 8, "clips_per_class": 1, "frames": 16}

_DESCRIPTION = """\
Turns micro-expression clips into the dataset folder that training reads: reads the database's
annotation, selects the protocol's clips, finds the face in each clip's onset, crops it, moves every
frame onto the onset, spots the apex where none is annotated, and keeps the apex and its neighbours
as 128x128 grey pairs. Whatever it changes or leaves out is named, with the reason.
"""

_EXAMPLES = """\
examples:
  faces drawn by the program, to try everything without data:
    python -m icegan_jax.prepare --source=procedural --out=data/procedural

  one licensed database, unpacked, its workbook anywhere in the folder:
    python -m icegan_jax.prepare --source=casme2 --raw=CASME2 --out=data/casme2
    python -m icegan_jax.prepare --source=samm --raw=SAMM --out=data/samm
    python -m icegan_jax.prepare --source=smic --raw=SMIC_all_raw --out=data/smic
    python -m icegan_jax.prepare --source=casme2 --raw=CASME2 --out=data/casme2_5 --protocol=five
    python -m icegan_jax.prepare --source=smic_vis --raw=SMIC_all_raw --out=data/smic_vis
    python -m icegan_jax.prepare --source=casme --raw=CASME --out=data/casme
    python -m icegan_jax.prepare --source=casme_squared --raw=CASME_squared --out=data/casme_squared
    python -m icegan_jax.prepare --source=casme_cubed --raw=CASME_cubed --out=data/casme_cubed
    python -m icegan_jax.prepare --source=mmew --raw=MMEW --out=data/mmew
    python -m icegan_jax.prepare --source=fourdme --raw=4DME --out=data/4dme

  the 442 clips of MEGC2019 from the three:
    python -m icegan_jax.prepare --source=casme2 --raw=A --source=samm --raw=B --source=smic --raw=C --out=data/megc
    python -m icegan_jax.prepare --source=megc2019 --raw=FOLDER_OF_THE_THREE --out=data/megc --strict

  first see what would happen; nothing is written:
    python -m icegan_jax.prepare --source=megc2019 --raw=FOLDER_OF_THE_THREE --check

  your own clips:
    python -m icegan_jax.prepare --source=clips --raw=my_clips/clips.csv --out=data/mine

    my_clips/clips.csv:
      dataset,subject,clip,label,frames,onset,apex,offset
      mine,anna,clip1,happiness,frames/anna1,12,25,41
      mine,bob,clip1,disgust,videos/bob1.mp4,0,,38

    frames is a folder of images or a video, relative to the csv. A frame's number is the last
    integer in its file name, in a video its position from 0. apex may be empty: it is then spotted.
    label is negative, positive, surprise, or an emotion such as anger or happiness; with
    --classes=A,B,C one of your own classes.

  frames by hand, which beat every rule (--repairs=my_repairs.csv):
      clip,onset,apex,offset,reason
      samm/028/028_4_1,,1105,,the sheet's apex lies after its offset

the folder --out then holds:
  index.html          a page to look at: every clip, every repair
  contact_sheet.png   onset, apex and their difference per clip: look at it first
  repairs.csv         every spotted apex and every departure from the annotation, with its reason
  findings.csv        every clip left out, missing or odd, with file and remedy
  clips.csv           the clips as they were used
  prepared.json       counts, options, versions, and a fingerprint of the dataset
  icegan_pairs/       the dataset itself (TFDS, ArrayRecord)
  cache/              the finished clips, for the next run; may be deleted

exit code: 0 done; 2 bad input, in one line; 130 interrupted. With --check: 0 preparation would
succeed with the protocol's exact set; 1 it would succeed, but something differs; 2 it would stop.
"""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m icegan_jax.prepare",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_places(parser.add_argument_group("what to read and where to write"))
    _add_choice(parser.add_argument_group("which clips"))
    _add_manner(parser.add_argument_group("how"))
    drawn = parser.add_argument_group("procedural faces (--source=procedural)")
    drawn.add_argument("--seed", type=int, default=DRAWN["seed"], help="of the drawing (default: 0)")
    drawn.add_argument("--subjects", type=int, default=DRAWN["subjects"], help="persons (default: 8)")
    drawn.add_argument(
        "--clips_per_class",
        type=int,
        default=DRAWN["clips_per_class"],
        help="clips per person and expression (default: 1)",
    )
    drawn.add_argument("--frames", type=int, default=DRAWN["frames"], help="frames per clip (default: 16)")
    return parser


def _add_places(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    text = "a database, your own clips, or megc2019: CASME II, SAMM and SMIC in one folder; may be given several times"
    add("--source", required=True, action="append", choices=(PROCEDURAL, *NAMES), help=text)
    text = "the folder of the unpacked database, or your clips.csv; the first --raw belongs to the first --source"
    add("--raw", action="append", metavar="PATH", help=text)
    text = "folder to make; an earlier dataset there is replaced, and clips that did not change are taken over from it"
    add("--out", metavar="DATA", help=text)
    text = "the workbook or csv to use, with a single database (default: the one found in its folder)"
    add("--annotation", metavar="FILE", help=text)
    text = (
        "use these folders of frames only: raw: whole recordings; selected: onset to offset, uncropped; cropped: the "
        "distributors' faces; long: SMIC-E (default: per clip the first of these that holds its frames)"
    )
    add("--release", choices=RELEASES, help=text)


def _add_choice(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    text = (
        "megc2019: the composite set, 145 + 133 + 164 clips; three: every clip of a negative, positive or surprise "
        "emotion; five: the five-class set of casme2 or of samm (default: megc2019 where every source is one of "
        "casme2, samm, smic; else three)"
    )
    add("--protocol", choices=PROTOCOLS, help=text)
    text = "refuse any set but the protocol's, before any face is looked for, and list the differences by clip name"
    add("--strict", action="store_true", help=text)
    text = "the organisers' csv (combined_3class_gt.csv): compare clips and classes with it too"
    add("--official", metavar="FILE", help=text)
    text = "frames by hand: columns clip,onset,apex,offset,reason, empty cells change nothing; beats every rule"
    add("--repairs", metavar="FILE", help=text)
    text = "your own classes in label order, with --source=clips (default: negative,positive,surprise)"
    add("--classes", metavar="A,B,C", help=text)
    text = (
        "leave out clips whose frames cannot be used or that show no face, each named (default: stop; the finished "
        "clips are kept for the next run)"
    )
    add("--skip_damaged", action="store_true", help=text)


def _add_manner(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    text = (
        "the dataset doctor: read everything, decode every frame, write nothing, and say what is missing, damaged or "
        "odd, and what would be repaired"
    )
    add("--check", action="store_true", help=text)
    text = (
        "how the apex is spotted where none is annotated, as in SMIC: difference: the frame that differs most from the "
        "onset; ratio: CapsuleNet's, over ten regions of the face; ratio_offset: the same with the offset too; middle: "
        "the middle frame (default: difference)"
    )
    add("--apex", default="difference", choices=METHODS, help=text)
    text = "rigid: move each frame onto the onset, sub-pixel, and match its brightness (default: rigid)"
    add("--register", default="rigid", choices=REGISTRATIONS, help=text)
    add("--size", type=int, default=SIZE, help=f"pixels on a side of a face (default: {SIZE})")
    add("--workers", type=int, metavar="N", help="processes (default: one per CPU core)")
