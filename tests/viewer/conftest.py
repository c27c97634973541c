"""The made-up report and its plots, drawn once for all tests of the viewer."""

import pytest
from fake_report import make_inputs

from hmu_tasks.viewer import page
from hmu_tasks.viewer.inputs import ReportInputs


@pytest.fixture(scope="session")
def inputs() -> ReportInputs:
    return make_inputs()


@pytest.fixture(scope="session")
def drawn(inputs: ReportInputs) -> dict[str, str]:
    return page.draw_plots(inputs)
