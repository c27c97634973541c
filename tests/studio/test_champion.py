"""The registry's champion is the first choice, out of the run's bundles or downloaded."""

from pathlib import Path

import pytest
from registered_world import NAME, easy_params, register

from hmu_tasks.registry import promote
from hmu_tasks.registry.versions import open_registry
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.studio.champion import with_champion
from hmu_tasks.studio.sources import defaults, sources

# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop, and warns about its own type hints.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType"),
]


def test_the_champion_comes_first_from_the_run_or_downloaded(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    known = sources(easy_params())
    assert with_champion(known, tmp_path) == known  # no store
    register(easy_params(), "momask", "lcr")
    assert with_champion(known, tmp_path) == known  # no champion
    registry = open_registry(Path(), NAME)
    promote.promote(registry, promote.propose(registry), who="a test", why="it passed")

    found = with_champion(known, tmp_path)
    assert found[1:] == known
    assert found[0].name == "champion"
    lcr = next(one for one in known if one.name == "lcr")
    assert (found[0].digest, found[0].folder) == (lcr.digest, lcr.folder)
    assert defaults(found) == ["champion", "original"]

    alone = [one for one in known if one.name != "lcr"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    downloaded = with_champion(alone, scratch)[0]
    assert downloaded.folder.is_relative_to(scratch)
    assert (downloaded.folder / "bundle.json").exists()

    run = registry.version(1).run_id
    stored = Path("runs/side/mlflow/artifacts") / run / "artifacts" / "model" / "artifacts" / "bundle"
    config = stored / "base" / "config.json"
    kept = config.read_text(encoding="utf-8")
    config.write_text(kept + " ", encoding="utf-8")
    (tmp_path / "other").mkdir()
    with pytest.raises(HmuError, match="the bundle is not the one that was registered"):
        with_champion(alone, tmp_path / "other")
    config.write_text(kept, encoding="utf-8")
    registry.client.set_registered_model_alias(NAME, "previous", "1")
    with pytest.raises(
        HmuError, match="previous is version 1 instead of not set; an alias was moved by hand"
    ):
        with_champion(known, tmp_path)
