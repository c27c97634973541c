"""What a fresh clone rests on: pins, licence, clean files, commands that the README names."""

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
DIRECT = [
    one for line in [*PROJECT["dependencies"], *EXTRAS] if (one := Requirement(line)).name != PROJECT["name"]
]
OURS = Path(__file__).resolve().relative_to(ROOT).as_posix()


def pins() -> dict[str, str]:
    found = {}
    for file in ("constraints.txt", "constraints-torch.txt"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "    --hash=")):
                name, separator, number = line.removesuffix(" \\").partition("==")
                assert separator, f"{file}: {line!r} is no exact pin"
                found[canonicalize_name(name)] = number
    return found


def test_every_pin_but_that_of_torch_has_hashes() -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / "constraints.txt").read_text(encoding="utf-8").strip())
    packages = [block for block in blocks if not block.startswith("#")]
    assert len(packages) > 250
    for block in packages:
        first, *hashes = block.split(" \\\n")
        assert "==" in first
        assert hashes, first
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", one) for one in hashes), first
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "install --quiet --require-hashes --no-deps --requirement constraints.txt" in makefile
    torch = (ROOT / "constraints-torch.txt").read_text(encoding="utf-8").splitlines()
    assert [line.partition("==")[0] for line in torch if not line.startswith("#")] == ["torch"]


def tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("this is no git checkout")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_pinned_to_a_tested_version(requirement: Requirement) -> None:
    pinned = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pinned, prereleases=True)
    assert version(requirement.name).partition("+")[0] == pinned


def test_pins_are_plain_and_sorted_versions() -> None:
    assert all(re.fullmatch(r"[\w.!]+", number) for number in pins().values())
    assert "+" not in pins()["torch"]


def test_pins_agree_with_what_is_installed() -> None:
    wrong = {}
    for name, pinned in pins().items():
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue  # a dependency of another platform
        if installed != pinned:
            wrong[name] = (pinned, installed)
    assert wrong == {}


def test_imported_packages_are_declared() -> None:
    """Whatever our code imports directly is a dependency of its own, not a gift of another package."""
    import sys
    from importlib.metadata import packages_distributions

    from modules import imported_names

    declared = {canonicalize_name(r.name) for r in DIRECT}
    known = packages_distributions()
    missing = set()
    for folder in ("hmu_tasks", "flows"):
        for file in (ROOT / folder).rglob("*.py"):
            for name in imported_names(file):
                top = name.partition(".")[0]
                if top in sys.stdlib_module_names or top in {"hmu_tasks", "flows"}:
                    continue
                if not declared.intersection(canonicalize_name(n) for n in known.get(top, [])):
                    missing.add((file.relative_to(ROOT).as_posix(), top))
    assert missing == set()


def test_no_dependency_is_idle() -> None:
    used = set()
    from importlib.metadata import packages_distributions

    from modules import imported_names

    known = packages_distributions()
    for folder in ("hmu_tasks", "flows", "tests", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            for name in imported_names(file):
                used |= {canonicalize_name(n) for n in known.get(name.partition(".")[0], [])}
    indirect = {"fastapi"}  # held back for Prefect's server
    idle = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]} - used - indirect
    assert idle == set()


def test_data_files_are_packaged() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for file in (ROOT / "hmu_tasks").rglob("*"):
        if not file.is_file() or file.suffix in {".py", ".pyc"}:
            continue
        owner = next(p for p in file.parents if (p / "__init__.py").exists())
        name = ".".join(owner.relative_to(ROOT).parts)
        patterns = tools["package-data"].get(name, [])
        inside = file.relative_to(owner)
        assert any(inside.match(pattern) for pattern in patterns), f"{file.relative_to(ROOT)} is not packaged"


def test_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License")
    assert PROJECT["license"] == "MIT"


def test_files_name_no_machine() -> None:
    """No absolute path of somebody's disk, no package index."""
    words = {
        "a folder of a machine": re.compile(r"(?<![\w.])/(?:work|tmp/hmu|root|home/\w+|Users/\w+)/(?!\$)\w"),
        "an index of packages": re.compile(
            r"--index-url|--extra-index-url|files\.pythonhosted|artifactory|/simple\b"
        ),
    }
    allowed = {
        # The CUDA build of torch has an index of its own, given as a build argument.
        ("Dockerfile", "an index of packages"),
        ("compose.yaml", "an index of packages"),
        ("docs/cluster.md", "an index of packages"),
        (OURS, "an index of packages"),
        (OURS, "a folder of a machine"),
    }
    faults = []
    for file in tracked():
        name = file.relative_to(ROOT).as_posix()
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for what, pattern in words.items():
            for match in pattern.finditer(text):
                if (name, what) not in allowed:
                    line = text.count("\n", 0, match.start()) + 1
                    faults.append(f"{name}:{line}: {what}: {match.group()}")
    assert faults == []


def test_nothing_large_or_private_is_tracked() -> None:
    for file in tracked():
        assert file.stat().st_size < 1_000_000, f"{file.relative_to(ROOT)} is too large for git"
        assert file.name != ".env"
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/.env", "/.venv/", "/data/clips/", "/data/split/", "/data/raw/?*", "/runs/", "/reports/"} <= set(
        ignored
    )


def test_commands_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    places = [ROOT / "hmu_tasks" / "__main__.py", *(ROOT / "hmu_tasks").glob("*/commands.py")]
    main = "\n".join(place.read_text(encoding="utf-8") for place in places)
    commands = set(re.findall(r"^def (\w+?)_?\(", main, re.MULTILINE))
    faults = []
    for file in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = file.read_text(encoding="utf-8")
        code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
        faults += [
            f"{file.name}: make {t}" for t in re.findall(r"\bmake ([a-z][\w-]*)", code) if t not in targets
        ]
        named = re.findall(r"python -m hmu_tasks ([a-z]\w*)", code)
        faults += [f"{file.name}: hmu_tasks {command}" for command in named if command not in commands]
        modules = re.findall(r"python (?:-m )?((?:benchmarks|flows)[\w./]+)", code)
        for module in modules:
            place = (
                ROOT / module
                if module.endswith(".py")
                else ROOT.joinpath(*module.split(".")).with_suffix(".py")
            )
            if not place.is_file():
                faults.append(f"{file.name}: {module}")
    assert faults == []
    assert {"repro", "test"} <= targets
