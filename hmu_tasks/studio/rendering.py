"""The pages of the demo and the review, from their templates, styles and scripts."""

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hmu_tasks.viewer.motion_data import subscript, viewer_script

HERE = Path(__file__).parent
VIEWER = HERE.parent / "viewer"


def page(name: str, **values: Any) -> str:
    """Fill the page `<name>.html.j2`: one file with its styles and script, which loads nothing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([HERE / "pages", VIEWER / "templates"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sub"] = subscript
    places = (VIEWER / "assets" / "report.css", HERE / "pages" / "page.css", HERE / "pages" / f"{name}.css")
    styles = "".join(place.read_text(encoding="utf-8") for place in places)
    return environment.get_template(f"{name}.html.j2").render(
        css=Markup(styles),  # noqa: S704 - ours
        script=viewer_script(f"../../studio/pages/{name}.js"),
        **values,
    )
