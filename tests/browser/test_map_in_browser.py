"""The page of a map in a real browser: it loads, searches, selects and exports. Needs `make browser` once."""

import csv
import io
import shutil

import numpy as np
import pandas as pd
import pytest

from skdim.plotting import nearest_rows, save_map_page
from tests.plotting.test_map_page import SALT

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: make browser")
if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
    pytest.skip("chromium and chromedriver are not installed: make browser", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--window-size=1300,850",
)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for switch in SWITCHES:
        options.add_argument(switch)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def opened(browser, path):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(lambda b: b.execute_script("return document.body.dataset.ready") == "yes")


def wait_for(browser, script):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20).until(lambda b: b.execute_script(f"return {script}"))


def small_page(tmp_path):
    rng = np.random.default_rng(0)
    places = rng.normal(size=(40, 2))
    table = pd.DataFrame({"id": [f"mp-{k}" for k in range(40)], "formula": ["NaCl", "MgO"] * 20, "gap": rng.random(40)})
    table.loc[3, "id"] = "<img src=x onerror='window.stolen=1'>"
    table.loc[5, "formula"] = "=HYPERLINK(1)"
    path = tmp_path / "m.html"
    save_map_page(path, places, table, neighbors=nearest_rows(places, 3), structures={7: SALT})
    return path


def test_search_choose_select_and_export(browser, tmp_path):
    path = small_page(tmp_path)
    opened(browser, path)
    field = browser.find_element("id", "search")
    field.send_keys("mp-7")
    wait_for(browser, "at('count').textContent === '1 found'")
    browser.find_element("css selector", "#found a").click()
    assert browser.find_element("id", "chosen").text.startswith("MgO\nmp-7")
    wait_for(browser, "document.querySelector('#structure canvas') !== null")  # drawn by WebGL
    assert len(browser.find_elements("css selector", "#near li")) == 3
    ring = browser.execute_script("return at('map').layout.shapes.map(s => [s.xanchor, s.yanchor])")
    assert ring == [browser.execute_script("return [X[7], Y[7]]")]
    # A lasso around everything, as plotly reports it.
    browser.execute_script("take([...Array(N).keys()])")
    rows = list(csv.reader(io.StringIO(browser.execute_script("return csv()"))))
    assert rows[0] == ["id", "formula", "gap"]
    assert len(rows) == 41
    assert rows[6][1] == "'=HYPERLINK(1)"
    assert not browser.execute_script("return window.stolen")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_lasso_drawn_by_hand_selects_points(browser, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains

    path = small_page(tmp_path)
    opened(browser, path)
    browser.find_element("id", "mode").click()
    layer = browser.find_element("css selector", "#map .nsewdrag")
    w, h = layer.size["width"] // 2 - 5, layer.size["height"] // 2 - 5
    actions = ActionChains(browser).move_to_element_with_offset(layer, -w, -h).click_and_hold()
    for dx, dy in ((2 * w, 0), (0, 2 * h), (-2 * w, 0), (0, -2 * h)):
        actions.move_by_offset(dx, dy)
    actions.release().perform()
    wait_for(browser, "selected.length === 40")
    assert browser.find_element("id", "save").is_enabled()
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_hundred_thousand_points_open(browser, tmp_path):
    rng = np.random.default_rng(0)
    n = 100_000
    table = pd.DataFrame({"id": [f"mp-{k}" for k in range(n)], "energy (eV/atom)": rng.normal(size=n)})
    save_map_page(tmp_path / "m.html", rng.normal(size=(n, 2)), table)
    opened(browser, tmp_path / "m.html")
    seconds = browser.execute_script("return performance.now() / 1000")
    print(f"100,000 points: ready after {seconds:.1f} s")
    assert browser.execute_script("return at('map').data.reduce((sum, t) => sum + (t.customdata || []).length, 0)") == n
