"""How many stages run at once: a number of CPU slots, and one slot for each GPU."""

import os
import queue
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """Permission to run one stage; `environment` is what its process needs to stay on its own device."""

    label: str
    environment: dict[str, str]


class Slots:
    """Hands out slots to threads; a stage marked `gpu` waits for a device, every other one for a CPU slot.

    Where there is no device, stages marked `gpu` take CPU slots. Where there are devices, the others do not
    see them, so that no stage lands beside another on the same device.
    """

    def __init__(self, workers: int, devices: list[str]) -> None:
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if devices else {}
        self._free: dict[str, queue.SimpleQueue[Slot]] = {
            "cpu": queue.SimpleQueue(),
            "gpu": queue.SimpleQueue(),
        }
        for number in range(workers):
            self._free["cpu"].put(Slot(f"CPU slot {number}", hidden))
        for device in devices:
            self._free["gpu"].put(Slot(f"GPU {device}", {"CUDA_VISIBLE_DEVICES": device}))
        self._has_devices = bool(devices)

    @contextmanager
    def take(self, resource: str) -> Iterator[Slot]:
        """Wait for a slot and give it back afterwards."""
        free = self._free[resource if self._has_devices else "cpu"]
        slot = free.get()
        try:
            yield slot
        finally:
            free.put(slot)


def visible_devices() -> list[str]:
    """Name the CUDA devices of this machine: CUDA_VISIBLE_DEVICES where set, else what nvidia-smi lists."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [device for device in given.split(",") if device not in {"", "-1"}]
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(
        ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout.split() if listing.returncode == 0 else []
