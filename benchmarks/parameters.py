"""Throughput and peak memory of ingest from body parameters: AMASS in archives as downloaded, or Motion-X.

    python benchmarks/parameters.py amass --motions 14616
    python benchmarks/parameters.py motionx --motions 81084

Writes made-up motions of AMASS's mean length (10 s at 120 frames per second, 1.6 MB) into .tar.bz2 archives, or of
Motion-X's (190 frames, 240 kB) into files, converts and packs them as `ingest` does, prints one line of measurements
and removes everything. Memory is the resident size of all processes together, sampled twice a second.
"""

import argparse
import bz2
import io
import json
import os
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from hmu_tasks.data.datasets.amass.writer import convert_folder
from hmu_tasks.ingest import ingest

SUBS = ("KIT", "CMU", "BioMotionLab_NTroje", "MPI_HDM05", "Eyes_Japan_Dataset", "BMLmovi", "EKUT", "ACCAD")
TEMPLATES = 12  # distinct motions; compressing takes far longer than reading
LINE = "a person walks and turns#a/DET person/NOUN walk/VERB and/CCONJ turn/VERB#0.0#0.0\n"


def turns(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Smooth joint rotations [frames, 66]."""
    time_s = np.arange(frames)[:, None] / 120
    return 0.3 * np.sin(time_s * rng.uniform(0.5, 4, 66) + rng.uniform(0, 6, 66)) + rng.normal(
        0, 1e-3, (frames, 66)
    )


def npz(rng: np.random.Generator, frames: int = 1200) -> bytes:
    """Build a file as AMASS has it: float64, fingers at rest."""
    buffer = io.BytesIO()
    poses = np.concatenate([turns(rng, frames), np.full((frames, 90), 0.1)], axis=1)
    path = np.cumsum(rng.normal(0, 0.002, (frames, 3)), axis=0)
    np.savez(
        buffer,
        poses=poses,
        trans=path,
        dmpls=rng.normal(size=(frames, 8)),
        betas=np.zeros(16),
        gender="male",
        mocap_framerate=120.0,
    )
    return buffer.getvalue()


def write_amass(folder: Path, motions: int) -> int:
    """Write archives, index, texts and lists; returns the bytes of all archives."""
    rng = np.random.default_rng(0)
    members = [npz(rng) for _ in range(TEMPLATES)]
    packed = [bz2.compress(content + b"\0" * (-len(content) % 512)) for content in members]
    (folder / "texts").mkdir(parents=True)
    rows = ["source_path,start_frame,end_frame,new_name"]
    files = {sub: (folder / f"{sub}.tar.bz2").open("wb") for sub in SUBS}
    for number in range(motions):
        sub, template = SUBS[number % len(SUBS)], number % TEMPLATES
        name, start = f"{sub}/{number % 40}/motion{number}_poses", int(rng.integers(0, 20))
        info = tarfile.TarInfo(f"{name}.npz")
        info.size = len(members[template])
        # A .bz2 file may consist of several streams: the header is compressed alone.
        files[sub].write(bz2.compress(info.tobuf(tarfile.GNU_FORMAT)) + packed[template])
        rows.append(f"./pose_data/{name}.npy,{start},{start + int(rng.integers(87, 120))},{number:06d}.npy")
        for twin in ("", "M"):
            (folder / "texts" / f"{twin}{number:06d}.txt").write_text(LINE * 3, encoding="utf-8")
    for file in files.values():
        file.write(bz2.compress(b"\0" * 1024))
        file.close()
    (folder / "index.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_lists(folder, [f"{twin}{number:06d}" for number in range(motions) for twin in ("", "M")])
    return sum((folder / f"{sub}.tar.bz2").stat().st_size for sub in SUBS)


def write_motionx(folder: Path, motions: int) -> int:
    """Write parameter files and bare captions; returns the bytes of all files."""
    rng = np.random.default_rng(0)
    ids = [f"idea400/subset_{number % 50:04d}/Walking While Clapping_{number}" for number in range(motions)]
    for part in ("motion_data/smplx_322", "texts/semantic_labels"):
        for number in range(50):
            (folder / part / "idea400" / f"subset_{number:04d}").mkdir(parents=True)
    array = rng.normal(0, 0.1, (199, 322)).astype(np.float32)
    array[:, :66] = turns(rng, 199)
    array[:, 309:312] = np.cumsum(rng.normal(0, 0.005, (199, 3)), axis=0)
    size = 0
    for name in ids:
        rows = int(rng.integers(181, 200))
        np.save(folder / "motion_data/smplx_322" / f"{name}.npy", array[:rows])
        (folder / "texts/semantic_labels" / f"{name}.txt").write_text("a person walks\n", encoding="utf-8")
        size += rows * 322 * 4
    write_lists(folder, ids)
    return size


def write_lists(folder: Path, ids: list[str]) -> None:
    """Put eight tenths of the clips into training, one each into the others."""
    first, second = len(ids) * 8 // 10 // 2 * 2, len(ids) * 9 // 10 // 2 * 2
    for split, members in (("train", ids[:first]), ("val", ids[first:second]), ("test", ids[second:])):
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in members), encoding="utf-8")


@contextmanager
def memory() -> Iterator[list[int]]:
    """Yield a list whose only entry is the largest resident size so far of this process and its children."""
    peak, done = [0], threading.Event()

    def sample() -> None:
        this = psutil.Process()
        while not done.wait(0.5):
            total = 0
            for process in (this, *this.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], total)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def main() -> None:
    """Print motions and clips, seconds and peak memory as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("dataset", choices=["amass", "motionx"])
    parser.add_argument("--motions", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=None, help="parent of the temporary folder")
    knobs = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=knobs.folder) as name:
        raw, target = Path(name) / "raw", Path(name) / "clips"
        size = (write_amass if knobs.dataset == "amass" else write_motionx)(raw, knobs.motions)
        with memory() as peak:
            start = time.perf_counter()
            if knobs.dataset == "amass":
                raw = convert_folder(raw, Path(name) / "converted").folder
            converting = time.perf_counter() - start
            dataset, least = ("humanml3d", 40) if knobs.dataset == "amass" else ("motionx", 24)
            report = ingest(raw, target, dataset=dataset, min_frames=least).packed
            wall = time.perf_counter() - start
        measured = {
            "motions": knobs.motions,
            "clips": report.clips,
            "frames": report.frames,
            "source_gb": round(size / 1e9, 2),
            "converting_s": round(converting, 1),
            "wall_s": round(wall, 1),
            "clips_per_minute": round(report.clips / wall * 60),
            "peak_mb": round(peak[0] / 2**20),
            "cores": len(os.sched_getaffinity(0)),
        }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
