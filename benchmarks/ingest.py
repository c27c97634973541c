"""Throughput and peak memory of the ingest step on a dataset of HumanML3D's size.

    python benchmarks/ingest.py --clips 29228

Writes synthetic clips of HumanML3D's mean length, 142 frames, in its layout into a temporary folder (about 150 kB
each, and the same again when packed), packs them, prints one line of measurements and removes everything.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hmu_tasks.data.clips import packed
from hmu_tasks.ingest import ingest

LINES = [
    "a person walks forward and turns around#a/DET person/NOUN walk/VERB forward/ADV and/CCONJ turn/VERB around/ADV",
    "someone takes a few steps, then turns#someone/PRON take/VERB a/DET few/ADJ step/NOUN then/ADV turn/VERB",
    "walking and turning#walk/VERB and/CCONJ turn/VERB",
]


def write_raw_folder(folder: Path, clips: int) -> None:
    """Write `clips` noisy copies of one smooth motion, 86 to 198 frames, with three captions each."""
    rng = np.random.default_rng(0)
    motion = np.cumsum(rng.normal(0, 0.1, (199, 263)), axis=0).astype(np.float32)
    text = "".join(f"{line}#0.0#0.0\n" for line in LINES)
    for part in ("new_joint_vecs", "texts"):
        (folder / part).mkdir(parents=True)
    ids = [f"{number:06d}" for number in range(clips)]
    for raw_id in ids:
        frames = int(rng.integers(86, 199))
        noisy = motion[:frames] + np.float32(rng.normal(0, 0.01))
        np.save(folder / "new_joint_vecs" / f"{raw_id}.npy", noisy)
        (folder / "texts" / f"{raw_id}.txt").write_text(text, encoding="utf-8")
    cuts = {
        "train": ids[: clips * 8 // 10],
        "val": ids[clips * 8 // 10 : clips * 17 // 20],
        "test": ids[clips * 17 // 20 :],
    }
    for split, members in cuts.items():
        (folder / f"{split}.txt").write_text("".join(f"{i}\n" for i in members), encoding="utf-8")


def main() -> None:
    """Print clips per second, wall seconds, CPU seconds and peak memory as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--folder", type=Path, default=None, help="parent of the temporary folder")
    knobs = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=knobs.folder) as name:
        raw, target = Path(name) / "raw", Path(name) / "clips"
        write_raw_folder(raw, knobs.clips)
        wall, cpu = time.perf_counter(), time.process_time()
        report = ingest(raw, target).packed
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        opening = time.perf_counter()
        clips = packed.load(target)
        opening = time.perf_counter() - opening
        assert len(clips) == report.clips
        measured = {
            "clips": report.clips,
            "frames": report.frames,
            "wall_s": round(wall, 1),
            "cpu_s": round(cpu, 1),
            "clips_per_s": round(report.clips / wall),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "open_s": round(opening, 2),
        }
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
