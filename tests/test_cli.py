"""The command line as a user meets it: real processes, real files, real full disks; no tracebacks."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from hmu_tasks.methods import METHODS
from hmu_tasks.metrics.records import ENDS

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    "ingest",
    "filter",
    "validate",
    "train",
    "codebook",
    "unlearn",
    "evaluate",
    "probe",
    "report",
    "mirror",
    "table",
    "preset",
)
FRAMES = 60


def run(folder: Path, *arguments: str, before: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Start `python -m hmu_tasks …` in a folder; `before`: a command line that the process is started through."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    command = [*(before or []), sys.executable, "-m", "hmu_tasks", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def error(done: subprocess.CompletedProcess[str]) -> str:
    """The one message of a failed command."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    return done.stderr.partition("error: ")[2].strip()


def change(folder: Path, **values: object) -> None:
    """Set knobs of the folder's params.yaml: `run__seed=3`."""
    yaml = YAML()
    file = folder / "params.yaml"
    content = yaml.load(file.read_text(encoding="utf-8"))
    for key, value in values.items():
        inner = content
        *path, last = key.split("__")
        for part in path:
            inner = inner[part]
        inner[last] = value
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A working folder without any data, tracking off."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    change(tmp_path, run__track=False, run__device="cpu")
    return tmp_path


@pytest.fixture
def raw(project: Path) -> Path:
    """A small raw folder in HumanML3D's layout: eight training clips, four for validation, four for test."""
    folder = project / "data" / "raw" / "humanml3d"
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(5)
    clips = [f"{number:06d}" for number in range(16)]
    for number, clip in enumerate(clips):
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", rng.normal(size=(FRAMES, 263)).astype(np.float32))
        told = (
            "a man kicks#a/DET man/NOUN kick/VERB" if number % 2 else "a man walks#a/DET man/NOUN walk/VERB"
        )
        (folder / "texts" / f"{clip}.txt").write_text(f"{told}#0.0#0.0\n", encoding="utf-8")
    for name, ids in (("train", clips[:8]), ("val", clips[8:12]), ("test", clips[12:])):
        (folder / f"{name}.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    change(project, run__dataset="humanml3d", ingest__source="data/raw/humanml3d")
    change(project, probe__relearning__shots=[2], probe__relearning__safe_shots=2)
    return folder


def earlier(project: Path) -> dict[str, bytes]:
    """Put down what an earlier ingest may have finished."""
    (project / "data" / "clips").mkdir()
    (project / "data" / "clips" / "ingest.json").write_text("{}\n", encoding="utf-8")
    return contents(project / "data" / "clips")


def contents(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_help_is_quick_and_light(tmp_path: Path) -> None:
    code = (
        "import resource, runpy, sys\n"
        "sys.argv = ['hmu', '--help']\n"
        "try:\n"
        "    runpy.run_module('hmu_tasks', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'torch', 'mlflow', 'numpy', 'pandas', 'prefect', 'dvc', 'great_expectations', 'matplotlib'}\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print('loaded', sorted(heavy & set(sys.modules)), used.ru_utime + used.ru_stime)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    seconds = []
    for _ in range(3):  # the first start may compile
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        last = done.stdout.splitlines()[-1]
        assert last.startswith("loaded [] ")
        seconds.append(float(last.split()[-1]))
    assert min(seconds) < 0.5
    for command in COMMANDS:
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"hmu_tasks {command}" in done.stdout


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "trian")
    assert done.returncode == 2
    assert "No such command 'trian'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["train", "tokeniser", "full"],
            "unknown component 'tokeniser'; choose one of text, evaluator, tokenizer",
        ),
        (["train", "tokenizer", "all"], "unknown variant 'all'; choose one of full, retrain"),
        (["train", "tokenizer"], "component 'tokenizer' needs a variant; choose one of full, retrain"),
        (["train", "text", "full"], "component 'text' has no variants"),
        (["unlearn", "momask", "lrc"], "unknown method 'lrc'; choose one of original, retrain, lcr"),
        (["unlearn", "mamask", "original"], "unknown model 'mamask'; choose one of momask"),
        (["evaluate", "momask", "lrc"], "unknown method 'lrc'; choose one of original, retrain, lcr"),
        (["evaluate", "mamask", "lcr"], "unknown model 'mamask'; choose one of momask"),
        (["preset", "fast"], "unknown preset 'fast'; choose one of "),
    ],
)
def test_unknown_names_list_the_choices(project: Path, arguments: list[str], expected: str) -> None:
    message = error(run(project, *arguments))
    assert expected in message
    assert len(message.splitlines()) == 1
    assert sorted(path.name for path in project.iterdir()) == ["params.yaml"]


def test_an_unknown_concept_lists_the_choices(raw: Path, project: Path) -> None:
    assert run(project, "ingest").returncode == 0
    change(project, run__concept="violense")
    message = error(run(project, "filter"))
    assert "'violense'" in message
    assert "violence" in message
    assert not (project / "data" / "split").exists()


@pytest.mark.parametrize("command", ["ingest", "filter", "codebook", "report"])
def test_without_params_yaml(tmp_path: Path, command: str) -> None:
    assert error(run(tmp_path, command)) == "params.yaml is missing; run from the project's root folder"


def test_help_names_the_methods(tmp_path: Path) -> None:
    text = " ".join(run(tmp_path, "unlearn", "--help").stdout.replace("│", " ").split())
    assert ", ".join((*ENDS, *METHODS)) in text


def test_a_wrong_key_is_said_with_its_path(project: Path) -> None:
    change(project, unlearn__lcr__cods=3)
    message = error(run(project, "ingest"))
    assert "unlearn.lcr.cods: unknown key; allowed here: strengths, seeds, layers" in message


@pytest.mark.parametrize(
    "arguments",
    [["filter"], ["validate"], ["train", "tokenizer", "full"], ["codebook"], ["evaluate", "real", "real"]],
)
def test_without_the_packed_clips(project: Path, arguments: list[str]) -> None:
    message = error(run(project, *arguments))
    assert "is missing" in message
    assert "run" in message


@pytest.mark.parametrize(
    "arguments", [["unlearn", "momask", "original"], ["unlearn", "momask", "lcr"], ["report"], ["table"]]
)
def test_without_the_steps_before(project: Path, arguments: list[str]) -> None:
    message = error(run(project, *arguments))
    assert "runs/" in message or "reports/" in message
    assert "run" in message


@pytest.mark.parametrize(
    "lost", ["data/split/train-retain.txt", "data/clips/features.npy", "data/clips/clips.parquet"]
)
def test_a_lost_file_is_named(raw: Path, project: Path, lost: str) -> None:
    for step in ("ingest", "filter"):
        assert run(project, step).returncode == 0
    (project / lost).unlink()
    message = error(run(project, "train", "tokenizer", "retrain"))
    assert f"{lost} is missing" in message


def test_a_raw_folder_that_is_not_there(project: Path) -> None:
    change(project, run__dataset="humanml3d", ingest__source="data/raw/nowhere")
    assert "data/raw/nowhere is not a directory; set ingest.source" in error(run(project, "ingest"))


def test_ingest_and_filter_read_what_is_there(raw: Path, project: Path) -> None:
    for step in ("ingest", "filter"):
        done = run(project, step)
        assert done.returncode == 0, done.stderr
    assert (project / "data" / "split" / "train-forget.txt").read_text().split() == [
        "000001",
        "000003",
        "000005",
        "000007",
    ]


def nan(raw: Path) -> str:
    features = np.load(raw / "new_joint_vecs" / "000003.npy")
    features[7, 5] = np.nan
    np.save(raw / "new_joint_vecs" / "000003.npy", features)
    return "new_joint_vecs/000003.npy contains NaN or infinite numbers, first in frame 7"


def truncated(raw: Path) -> str:
    file = raw / "new_joint_vecs" / "000003.npy"
    file.write_bytes(file.read_bytes()[:1000])
    return "new_joint_vecs/000003.npy cannot be read as a .npy array"


def pickled(raw: Path) -> str:
    np.save(raw / "new_joint_vecs" / "000003.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return "new_joint_vecs/000003.npy"


def misshaped(raw: Path) -> str:
    np.save(raw / "new_joint_vecs" / "000003.npy", np.zeros((FRAMES, 251), np.float32))
    return "new_joint_vecs/000003.npy has shape (60, 251); expected [frames, 263]"


def no_caption(raw: Path) -> str:
    (raw / "texts" / "000003.txt").write_text("#a/DET#0.0#0.0\n", encoding="utf-8")
    return "texts/000003.txt line 1 has an empty caption"


def no_text(raw: Path) -> str:
    (raw / "texts" / "000003.txt").unlink()
    return "texts/000003.txt is missing"


def no_motion(raw: Path) -> str:
    (raw / "new_joint_vecs" / "000003.npy").unlink()
    return "new_joint_vecs/000003.npy is missing"


DAMAGE = [nan, truncated, pickled, misshaped, no_caption, no_text, no_motion]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_bad_clip_stops_ingest_and_leaves_what_was_finished(raw: Path, project: Path, damage) -> None:  # type: ignore[no-untyped-def]
    before = earlier(project)
    expected = damage(raw)
    message = error(run(project, "ingest"))
    assert "000003" in message
    assert expected in message
    assert "set ingest.on_bad: skip" in message
    assert contents(project / "data" / "clips") == before
    assert sorted(path.name for path in (project / "data").iterdir()) == ["clips", "raw"]


def test_bad_clips_are_skipped_and_reported_where_that_is_asked_for(raw: Path, project: Path) -> None:
    nan(raw)
    np.save(raw / "new_joint_vecs" / "000005.npy", np.zeros((39, 263), np.float32))
    change(project, ingest__on_bad="skip")
    assert run(project, "ingest").returncode == 0
    told = (project / "data" / "clips" / "ingest.json").read_text(encoding="utf-8")
    assert "first in frame 7" in told
    assert '"000005"' in told
    assert '"clips": 14' in told


def test_a_clip_shorter_than_the_limit_is_left_out_and_reported(raw: Path, project: Path) -> None:
    np.save(raw / "new_joint_vecs" / "000004.npy", np.zeros((39, 263), np.float32))
    assert run(project, "ingest").returncode == 0  # as the official loader does
    told = (project / "data" / "clips" / "ingest.json").read_text(encoding="utf-8")
    assert '"000004"' in told
    assert "39 frames" in told


def test_an_empty_forget_set_stops_the_filter(raw: Path, project: Path) -> None:
    for number in (1, 3, 5, 7):
        (raw / "texts" / f"{number:06d}.txt").write_text(
            "a man walks#a/DET man/NOUN walk/VERB#0#0\n", encoding="utf-8"
        )
    assert run(project, "ingest").returncode == 0
    message = error(run(project, "filter"))
    assert "nothing to forget in the train split (8 clips)" in message
    assert "run.concept" in message
    assert not (project / "data" / "split").exists()


@pytest.mark.slow
def test_broken_contracts_stop_validation(raw: Path, project: Path) -> None:
    for step in ("ingest", "filter"):
        assert run(project, step).returncode == 0
    message = error(run(project, "validate"))  # random numbers are no motions
    assert "data contracts are broken" in message
    assert "000000" in message
    assert not (project / "data" / "validation.json").exists()


def larger(raw: Path) -> None:
    for file in (raw / "new_joint_vecs").iterdir():
        np.save(file, np.random.default_rng(1).normal(size=(190, 263)).astype(np.float32))


def test_a_file_size_limit_leaves_what_was_finished(raw: Path, project: Path) -> None:
    """`ulimit -f` stops a process from writing as a full disk does, everywhere and without privileges."""
    before = earlier(project)
    larger(raw)
    limit = ["sh", "-c", 'ulimit -f 600; exec "$@"', "sh"]
    message = error(run(project, "ingest", before=limit))
    assert "the disk is full" in message
    assert "finished steps are kept" in message
    assert contents(project / "data" / "clips") == before
    assert sorted(path.name for path in (project / "data").iterdir()) == ["clips", "raw"]
    assert run(project, "ingest").returncode == 0


def mounts() -> bool:
    """Say whether a process may mount a small disk of its own here."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kib", [300, 2350, 2364])
def test_a_full_disk_leaves_what_was_finished(raw: Path, project: Path, kib: int) -> None:
    """`data/` is a real disk of a few hundred KiB that fills up at several points of the work."""
    if not mounts():
        pytest.skip("this machine lets no process mount a disk of its own")
    raw.rename(project / "raw")
    change(project, ingest__source="raw")
    larger(project / "raw")
    script = (
        f"mount -t tmpfs -o size={kib}k tmpfs data && mkdir data/clips && echo old > data/clips/old && "
        '"$@"; code=$?; cat data/clips/old; ls -A data; exit $code'
    )
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    done = run(project, "ingest", before=shell)
    assert done.stdout.splitlines() == ["old", "clips"], done.stderr
    assert "the disk is full" in error(done)


def test_weights_say_when_the_disk_is_full(tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from hmu_tasks.models.networks import weights\n"
        "import hmu_tasks.__main__ as main\n"
        "main.app = lambda: weights.save({'a': torch.zeros(500_000)}, {}, Path('folder'))\n"
        "main.main()\n"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    assert "the disk is full" in error(done)
    assert list((tmp_path / "folder").iterdir()) == []


def test_the_table_needs_a_report(project: Path) -> None:
    assert "reports/summary.txt is missing; run `make repro`" in error(run(project, "table"))


def test_a_preset_changes_params_yaml(project: Path) -> None:
    assert run(project, "preset", "smoke").returncode == 0
    assert "clips: 400" in (project / "params.yaml").read_text(encoding="utf-8")
