"""The evaluation as one self-contained HTML page."""

from typing import Any

from jinja2 import Environment, PackageLoader


def render_page(report: dict[str, Any], predictions: list[dict[str, Any]]) -> str:
    """Render the page.

    Args:
        report: ``evaluation_report``.
        predictions: Rows of ``predictions``.
    """
    environment = Environment(loader=PackageLoader("qwen_pipeline.evaluation", "templates"), autoescape=True)
    return environment.get_template("page.html").render(report=report, predictions=predictions)
