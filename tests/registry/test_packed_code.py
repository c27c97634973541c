"""The code that a registered version carries imports nothing of ours that it does not carry."""

from modules import PACKAGE, own_imports

from hmu_tasks.registry.packing import FILES, LIBRARIES


def test_every_import_is_packed() -> None:
    packed = {PACKAGE / name for name in FILES}
    packed |= {file for folder in LIBRARIES for file in (PACKAGE / folder).rglob("*.py")}
    assert {found for file in packed for found in own_imports(file, run_only=True)} <= packed
