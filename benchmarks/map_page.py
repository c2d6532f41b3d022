"""Time until a page of `skdim map` can be used, and the time of a frame while the map is moved and enlarged.

    python benchmarks/map_page.py --out benchmarks/map_page.json [--points 100000]

It needs Chromium and Selenium (`make browser`), runs without a screen and draws on the processor, without a GPU: what a
reader sees is faster. A frame is the time between two animation frames of the page, while the pointer drags the map to
and fro and while the wheel turns; 16.7 ms is the least that a screen shows. `pan_rest_ms` and `zoom_rest_ms` are the
time from the end of it until all points are drawn where they are to be seen: while the map moves, the picture that is
drawn moves. The table has a formula, a number and two texts; the page is measured coloured by the number and by a text.
Medians over the runs; the clock says something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from skdim.plotting import save_map_page

SWITCHES = (
    *("--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--window-size=1300,850"),
)
_RECORD = """
const own = window.frames_seen = [];
const tick = t => { own.push(t); if (window.frames_seen === own) requestAnimationFrame(tick); };
requestAnimationFrame(tick);
"""


def started() -> Any:
    """Start the browser."""
    options = webdriver.ChromeOptions()
    for switch in SWITCHES:
        options.add_argument(switch)
    options.binary_location = str(shutil.which("chromium"))
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))


def frames(browser: Any, kind: str, steps: int = 60) -> tuple[list[float], float]:
    """Milliseconds of each frame while the map is moved ("pan") or enlarged ("zoom"), and until it rests."""
    box = browser.execute_script("const r = at('map').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]")
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2

    def mouse(event: str, at: tuple[float, float], **more: Any) -> None:
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": event, "x": at[0], "y": at[1], **more})

    browser.execute_script(_RECORD)
    if kind == "pan":
        mouse("mousePressed", (x, y), button="left", buttons=1, clickCount=1)
        for k in range(steps):
            shift = 150 * np.sin(2 * np.pi * k / steps)
            mouse("mouseMoved", (x + shift, y + shift / 2), button="left", buttons=1)
            time.sleep(1 / 60)
    else:
        for k in range(steps):
            mouse("mouseWheel", (x, y), deltaX=0, deltaY=-30 if k < steps / 2 else 30)
            time.sleep(1 / 60)
    seen = browser.execute_script("const seen = window.frames_seen; window.frames_seen = null; return seen")
    start = time.perf_counter()
    if kind == "pan":
        mouse("mouseReleased", (x + shift, y + shift / 2), button="left", buttons=0, clickCount=1)
    WebDriverWait(browser, 60, 0.01).until(lambda b: b.execute_script("return !document.body.dataset.moving"))
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    return np.diff(seen).tolist(), 1000 * (time.perf_counter() - start)


def crystals(n: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw places and properties, among them texts of seven and of a hundred values, like systems and families."""
    rng = np.random.default_rng(0)
    elements = np.array(["Li", "Na", "K", "Mg", "Ca", "Ti", "Fe", "Cu", "O", "S", "F", "Cl"])
    formulas = ["".join(row) for row in zip(*elements[rng.integers(12, size=(3, n))], strict=True)]
    columns = {
        "id": [f"mp-{k}" for k in range(n)],
        "formula": formulas,
        "energy (eV/atom)": rng.normal(size=n),
        "system": np.array(["cubic", "hexagonal", "trigonal", "tetragonal", "orthorhombic", "monoclinic", "triclinic"])[
            rng.integers(7, size=n)
        ],
        "family": [f"family {k}" for k in rng.zipf(1.5, size=n) % 100],
    }
    return rng.normal(size=(n, 2)), pd.DataFrame(columns)


def timed(page: Path) -> dict[str, float]:
    """Open a page, move and enlarge its map, and give the times."""
    browser = started()
    try:
        browser.get(page.as_uri())
        WebDriverWait(browser, 120).until(lambda b: b.execute_script("return document.body.dataset.ready"))
        run = {"ready_s": browser.execute_script("return performance.now() / 1000")}
        view = "return JSON.stringify(at('map').layout.xaxis.range)"
        for kind in ("pan", "zoom"):
            before = browser.execute_script(view)
            times, rest = frames(browser, kind)
            if kind == "pan" and browser.execute_script(view) == before:
                raise SystemExit("the map did not move")
            run |= {
                f"{kind}_ms": float(np.median(times)),
                f"{kind}_ms_of_the_slowest_20th": float(np.quantile(times, 0.95)),
                f"{kind}_rest_ms": rest,
            }
    finally:
        browser.quit()
    return run


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    record: dict[str, Any] = {"points": options.points}
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "map.html")
        for kind, color in (("number", "energy (eV/atom)"), ("text", "family")):
            places, table = crystals(options.points)
            save_map_page(page, places, table, color=color)
            runs = [timed(page) for _ in range(options.runs)]
            record[kind] = {name: round(float(np.median([run[name] for run in runs])), 2) for name in runs[0]}
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(options.out.read_text())


if __name__ == "__main__":
    main()
