"""The number of CPU threads per step."""

import os
import subprocess
import sys

import pytest

from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.threads import threads

ASK = (
    "from hmu_tasks.runtime.threads import limit_threads; limit_threads(); "
    "import torch; print(torch.get_num_threads())"
)


def test_one_thread_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    given = os.environ | {"OMP_NUM_THREADS": "5", "MKL_NUM_THREADS": "3"}
    given.pop("HMU_THREADS", None)
    for more, wanted in (({}, "1\n"), ({"HMU_THREADS": "2"}, "2\n")):
        done = subprocess.run(
            [sys.executable, "-c", ASK], env=given | more, capture_output=True, text=True, check=True
        )
        assert done.stdout == wanted
    monkeypatch.delenv("HMU_THREADS", raising=False)
    assert threads() == 1


@pytest.mark.parametrize("given", ["0", "many", "-1", ""])
def test_an_invalid_number_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HMU_THREADS", given)
    with pytest.raises(ConfigError, match="HMU_THREADS is"):
        threads()
