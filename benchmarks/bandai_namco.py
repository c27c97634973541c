"""Write captions for the Bandai-Namco-Research-Motiondataset from the content and style in its file names.

    python benchmarks/bandai_namco.py data/raw/bandai_namco

The dataset has no captions. Reads the names of the BVH files below the folder
(dataset-2_wave-left-hand_elderly_001.bvh: content, style, number) and writes captions.csv there: three captions per
file in varied wording, and a split. Deterministic: seeded by file name. Validation and test files are taken at regular
intervals from the list sorted by content and style, so each split has its share of both.
"""

import argparse
import csv
import io
import re
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing

CAPTIONS: Final = 3
TEST, VAL = 0.17, 0.08  # shares of the files
STYLE_SHARE: Final = 0.6  # of a clip's captions that name its style, unless it is normal
NAME: Final = re.compile(r"dataset-\d+_(?P<content>[a-z-]+)_(?P<style>[a-z-]+)_\d+\.bvh")

SUBJECTS: Final = ("a person", "a person", "the person", "someone", "a figure", "somebody", "a human")

# Third person singular; {S} is the side. NAMED names the movement, VEILED describes it in other words; one caption of
# three is always from NAMED.
NAMED: Final[dict[str, tuple[str, ...]]] = {
    "walk": ("walks forward", "takes a walk", "is walking straight ahead", "walks along at an even pace"),
    "run": ("runs forward", "is running straight ahead", "runs along", "goes for a run"),
    "dash": ("dashes forward", "sprints ahead", "makes a short dash", "starts to run at full speed"),
    "walk-back": ("walks backwards", "is walking back without turning around", "takes steps backwards"),
    "walk-side": ("walks sideways to the {S}", "takes side steps to the {S}", "is stepping to the {S}"),
    "walk-turn": ("walks and turns {S}", "walks forward, then turns to the {S}", "is walking in a {S} curve"),
    "wave": ("waves with the {S} hand", "waves the {S} hand", "is waving the {S} arm",
             "waves at someone with the {S} hand"),
    "waves": ("waves both hands", "is waving with both arms", "waves both arms above the head", "waves with two hands"),
    "bye": ("waves goodbye", "is waving goodbye with one hand", "says goodbye with a wave",
            "waves to someone who leaves"),
    "raise": ("raises the {S} hand", "lifts the {S} arm up", "puts the {S} hand up", "is raising the {S} arm"),
    "raises": ("raises both hands", "lifts both arms up", "puts both hands up", "is raising the arms above the head"),
    "bow": ("bows", "takes a bow", "is bowing from the hip", "bows to somebody"),
    "guide": ("shows the way with one hand", "guides someone with a gesture", "points out the way"),
    "call": ("leans forward and calls someone", "is calling somebody over", "bends down to call someone"),
    "dance": ("dances", "is dancing on the spot", "performs a dance"),
    "kick": ("kicks", "is kicking from a fighting stance", "throws kicks with the leg"),
    "punch": ("punches", "is punching from a fighting stance", "throws punches with both fists"),
    "slash": ("slashes with a sword", "is slashing with a blade", "swings a sword with both hands"),
    "respond": ("raises one hand to respond", "answers with a raised hand", "responds with a short gesture"),
}  # fmt: skip
VEILED: Final[dict[str, tuple[str, ...]]] = {
    "walk": ("goes straight ahead", "moves forward step by step"),
    "run": ("moves ahead at a fast pace", "hurries forward with long strides"),
    "dash": ("rushes forward", "hurries ahead as fast as possible"),
    "walk-turn": ("goes around a corner to the {S}", "moves ahead and changes direction to the {S}"),
    "wave": ("moves the raised {S} hand from side to side", "greets someone with the {S} hand swinging"),
    "waves": ("swings the raised arms from side to side", "greets someone with both hands"),
    "bye": ("moves one hand from side to side to part", "sees somebody off with one hand"),
    "raise": ("holds the {S} hand up and lowers it again", "stretches the {S} arm upwards"),
    "raises": ("holds both hands up and lowers them again", "stretches both arms upwards"),
    "bow": ("bends the upper body forward politely", "greets somebody with the head lowered"),
}
SIDED: Final = {
    "wave-left-hand": ("wave", "left"),
    "wave-right-hand": ("wave", "right"),
    "wave-both-hands": ("waves", ""),
    "raise-up-left-hand": ("raise", "left"),
    "raise-up-right-hand": ("raise", "right"),
    "raise-up-both-hands": ("raises", ""),
    "walk-turn-left": ("walk-turn", "left"),
    "walk-turn-right": ("walk-turn", "right"),
    "walk-left": ("walk-side", "left"),
    "walk-right": ("walk-side", "right"),
    "byebye": ("bye", ""),
    "dance-short": ("dance", ""),
    "dance-long": ("dance", ""),
}
STYLES: Final[dict[str, tuple[str, ...]]] = {
    "normal": ("calmly", "in an ordinary way", "at ease"),
    "feminine": ("in a feminine way", "like a lady", "with feminine grace"),
    "masculine": ("in a masculine way", "like a strong man", "with a manly bearing"),
    "masculinity": ("in a masculine way", "like a strong man", "with a manly bearing"),
    "youthful": ("in a youthful way", "briskly, like a young person", "full of youthful energy"),
    "exhausted": ("exhausted", "as if worn out", "with no strength left"),
    "elderly": ("like an elderly person", "as if very old", "with the stiffness of old age"),
    "old": ("like an old person", "as if very old", "with the stiffness of old age"),
    "angry": ("angrily", "in a bad temper", "in an angry mood"),
    "childish": ("like a child", "playfully", "in a childish way"),
    "chimpira": ("with a swagger", "like a young rowdy", "in a cocky way"),
    "giant": ("like a giant", "heavily", "with huge slow movements"),
    "happy": ("happily", "in high spirits", "in a happy mood"),
    "musical": ("like an actor in a musical", "with theatrical movements", "rhythmically"),
    "not-confident": ("timidly", "without confidence", "hesitantly"),
    "proud": ("proudly", "with the chest out", "in a proud way"),
    "sad": ("sadly", "with the head down", "in a sad mood"),
    "tired": ("tiredly", "as if tired", "in a tired way"),
}


def describe(file: str) -> list[str]:
    """Write the captions of a file from its name; raises DataError for an unknown name, content or style."""
    found = NAME.fullmatch(file)
    if found is None:
        raise DataError(f"{file} is not named dataset-N_CONTENT_STYLE_NUMBER.bvh")
    content, side = SIDED.get(found["content"], (found["content"], ""))
    if content not in NAMED or found["style"] not in STYLES:
        raise DataError(
            f"{file}: no wording for the content {found['content']} in the style {found['style']}"
        )
    rng = np.random.default_rng(zlib.crc32(file.encode()))
    named, veiled = NAMED[content], VEILED.get(content, ())
    clauses = [named[int(rng.integers(len(named)))]]
    rest = [clause for clause in (*named, *veiled) if clause != clauses[0]]
    clauses += [rest[int(place)] for place in rng.permutation(len(rest))[: CAPTIONS - 1]]
    share = STYLE_SHARE / 3 if found["style"] == "normal" else STYLE_SHARE
    captions = []
    for clause in clauses:
        words = [SUBJECTS[int(rng.integers(len(SUBJECTS)))], clause.format(S=side)]
        style = STYLES[found["style"]][int(rng.integers(3))]
        if rng.random() < share:
            words.append(style)
        captions.append(" ".join(words))
    return captions


def splits(files: list[str]) -> dict[str, str]:
    """Assign every file to a split, each content and style spread evenly over the three."""
    result = {}
    test = val = 0.0
    for file in sorted(files):
        test, val = test + TEST, val + VAL
        if test >= 1:
            result[file], test = "test", test - 1
        elif val >= 1:
            result[file], val = "val", val - 1
        else:
            result[file] = "train"
    return result


def main() -> None:
    """Write captions.csv into the folder and print the number of files per split."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    paths = {path.name: path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.bvh"))}
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "caption", "split"])
    split = splits(list(paths))
    for name, path in sorted(paths.items()):
        rows.writerows([path, caption, split[name]] for caption in describe(name))
    with replacing(folder / "captions.csv") as temporary:
        temporary.write_text(table.getvalue(), encoding="utf-8")
    sys.stdout.write(f"{folder / 'captions.csv'}: {len(paths)} files, {dict(Counter(split.values()))}\n")


if __name__ == "__main__":
    main()
