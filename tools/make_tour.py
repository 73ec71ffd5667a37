"""Take the pictures of docs/tour.md from a finished project, in the browser that the tests use.

    .venv/bin/python tools/make_tour.py PROJECT [NAME ...]

PROJECT is a clone in which `kedro run` has ended twice, with other data or parameters, so that MLflow has two runs to compare; the
output of the last is in its file `run.txt`. A Chinese font is needed for the page's button. Names are
those of the pictures (default: all). Chromium and the development requirements are needed.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import Browser  # noqa: E402
from end_to_end.web_server import serve  # noqa: E402

PICTURES = ROOT / "docs/pictures"
LARGEST_BYTES = 200_000
COLOURS = 64  # screens have few; enough for text that is smoothed
SETTLED_SECONDS = 3  # for what moves into its place
CLOSE_ASSISTANT = "(document.querySelector('[aria-label*=lose]') || document.createElement('i')).click()"
TERMINAL = "background:#1e1e1e;color:#ddd;font:15px/1.5 monospace;padding:18px;margin:0;white-space:pre-wrap"


def keep(browser: Browser, name: str, height: int | None = None) -> None:
    """Save the window, or its upper ``height`` pixels, as ``docs/pictures/NAME.png`` with a palette of its own."""
    path = browser.screenshot(PICTURES / f"{name}.png")
    picture = Image.open(path).convert("RGB")
    picture.crop((0, 0, picture.width, height or picture.height)).quantize(
        COLOURS, dither=Image.Dither.NONE
    ).save(path, optimize=True)
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise SystemExit(f"{path} has {size} bytes; {LARGEST_BYTES} are allowed: make the window smaller.")
    print(f"{path.relative_to(ROOT)}: {size // 1000} kB")


def newest(project: Path, name: str) -> Path:
    """The newest version of a page."""
    return sorted((project / "data/08_reporting" / name).glob(f"2*/{name}"))[-1]


def press(browser: Browser, text: str) -> None:
    """Click the last and innermost element that shows exactly ``text``, if there is one."""
    shown = f"[...document.querySelectorAll('*')].filter((e) => e.innerText === {json.dumps(text)}).pop()"
    browser.evaluate(f"({shown} || document.createElement('i')).click()")


def draw_viz(project: Path) -> None:
    """The lineage in its six stages, and the preview of a dataset."""
    with serve(project, "kedro", "viz", "run", "--no-browser") as address, Browser(1500, 1150) as browser:
        browser.open(address)
        browser.wait_for_text("exported_model")
        browser.wait_for("document.querySelector('.feature-hints__close')")
        browser.click(".feature-hints__close")
        browser.wait_for("document.querySelectorAll('.pipeline-node').length > 6")
        time.sleep(2 * SETTLED_SECONDS)
        press(browser, "Dismiss")
        time.sleep(SETTLED_SECONDS)
        keep(browser, "lineage")
        browser.click('[data-test="node-list-tree-item--row--clean_examples"]')
        browser.wait_for("document.querySelector('.pipeline-metadata').innerText.includes('repairs')")
        press(browser, "Expand preview")
        time.sleep(SETTLED_SECONDS)
        keep(browser, "preview", height=500)


def draw_mlflow(project: Path) -> None:
    """The table of runs, and two of them side by side."""
    with sqlite3.connect(project / "mlflow.db") as store:
        asked = "select run_uuid from runs where lifecycle_stage = 'active' order by start_time desc limit 2"
        runs = [row[0] for row in store.execute(asked)]
    both = f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps(['1']))}"
    with (
        serve(project, "mlflow", "ui", "--workers", "1") as address,
        Browser(1500, 900) as browser,
    ):
        browser.open(f"{address}/#/experiments/1/runs")
        browser.wait_for("document.querySelectorAll('[role=row]').length > 2")
        browser.evaluate(CLOSE_ASSISTANT)
        time.sleep(SETTLED_SECONDS)
        keep(browser, "mlflow_runs", height=620)
        browser.open(f"{address}/#/compare-runs?{both}")
        browser.wait_for_text("gradient_norm")
        browser.evaluate(CLOSE_ASSISTANT)
        press(browser, "Visualizations")
        time.sleep(SETTLED_SECONDS)
        press(browser, "Show diff only")
        browser.evaluate(
            "[...document.querySelectorAll('*')].filter((e) => e.innerText === 'Metrics').pop().scrollIntoView()"
        )
        keep(browser, "mlflow_compare", height=660)


def draw_pages(project: Path) -> None:
    """The page about the data and the one about the model."""
    for name, page in (("data", "data_page.html"), ("evaluation", "evaluation_page.html")):
        with Browser(1100, 900) as browser:
            browser.open(newest(project, page).as_uri())
            keep(browser, name)


def draw_terminal(project: Path) -> None:
    """The end of the last run, from its log file ``run.txt`` in the project."""
    lines = (project / "run.txt").read_text(encoding="utf-8").splitlines()[-16:]
    page = project / "run.html"
    page.write_text(f'<meta charset="utf-8"><pre style="{TERMINAL}">{escape(chr(10).join(lines))}</pre>')
    with Browser(1000, 470) as browser:
        browser.open(page.as_uri())
        keep(browser, "terminal")


DRAWN: dict[str, Callable[[Path], None]] = {
    "viz": draw_viz, "mlflow": draw_mlflow, "pages": draw_pages, "terminal": draw_terminal,
}  # fmt: skip


def main(project: str, *names: str) -> None:
    """Draw the pictures that are asked for."""
    PICTURES.mkdir(exist_ok=True)
    for name in names or DRAWN:
        DRAWN[name](Path(project).resolve())


if __name__ == "__main__":
    main(*sys.argv[1:])
