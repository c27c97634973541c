"""Fresh MLflow stores whose tables are copied from one that MLflow has made, which takes it seconds each time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from made_once import made_once

FILE = "mlflow.db"


@pytest.fixture(scope="session")
def quick_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let this process copy the tables of every new SQLite store; other processes make theirs themselves."""
    import sqlalchemy
    from mlflow.store.db import utils

    upgrade = utils._upgrade_db

    def make(folder: Path) -> None:
        engine = sqlalchemy.create_engine(f"sqlite:///{folder / FILE}")
        utils.InitialBase.metadata.create_all(engine)
        upgrade(engine)
        engine.dispose()

    def copy(engine: Any) -> None:
        if engine.dialect.name != "sqlite" or set(sqlalchemy.inspect(engine).get_table_names()) - set(
            utils.InitialBase.metadata.tables
        ):
            upgrade(engine)  # another kind of store, or one that holds something already
            return
        made = made_once(tmp_path_factory, "mlflow-store", make) / FILE
        with closing(sqlite3.connect(made)) as source, closing(engine.raw_connection()) as target:
            source.backup(target.driver_connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_upgrade_db", copy)
        yield
