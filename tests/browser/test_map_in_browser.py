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


def test_the_map_moves_to_a_chosen_point_only_where_it_is_out_of_sight(browser, tmp_path):
    opened(browser, small_page(tmp_path))
    ranges = "at('map')._fullLayout.xaxis.range.concat(at('map')._fullLayout.yaxis.range)"
    before = browser.execute_script(f"return {ranges}")
    browser.execute_script("choose(7, true)")
    assert browser.execute_script(f"return {ranges}") == before
    browser.execute_script("Plotly.relayout('map', {'xaxis.range': [X[7] + 1, X[7] + 2]})")
    browser.execute_script("choose(7, true)")
    wait_for(browser, "Math.abs(at('map')._fullLayout.xaxis.range[0] - (X[7] - 0.5)) < 1e-6")


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


def mouse(browser, event, x, y, **more):
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": event, "x": x, "y": y, **more})


def place_of(browser, row):
    """Where a point is on the screen, as plotly has drawn it."""
    script = """
        const row = arguments[0], { xaxis, yaxis } = at('map')._fullLayout, box = at('map').getBoundingClientRect();
        return [box.x + xaxis._offset + xaxis.d2p(X[row]), box.y + yaxis._offset + yaxis.d2p(Y[row])];"""
    return browser.execute_script(script, row)


def chosen_by_click(browser, row):
    x, y = place_of(browser, row)
    mouse(browser, "mouseMoved", x - 30, y)
    mouse(browser, "mouseMoved", x, y)
    wait_for(browser, "at('tip').style.display === 'block'")
    mouse(browser, "mousePressed", x, y, button="left", buttons=1, clickCount=1)
    mouse(browser, "mouseReleased", x, y, button="left", clickCount=1)
    wait_for(browser, f"chosen === {row}")


def test_dragging_and_the_wheel_move_the_picture_at_once_and_the_points_when_it_rests(browser, tmp_path):
    opened(browser, small_page(tmp_path))
    browser.execute_script("held = true; real = settle; settle = () => { fast = false; if (!held) real(); }")
    x, y = place_of(browser, 7)
    layer = browser.execute_script(
        "const r = document.querySelector('#map .nsewdrag').getBoundingClientRect(); "
        "return [r.x + r.width / 2, r.y + r.height / 2]"
    )
    style = "document.querySelector('#map .gl-container canvas').style.transform"
    mouse(browser, "mousePressed", *layer, button="left", buttons=1, clickCount=1)
    for k in range(1, 6):
        mouse(browser, "mouseMoved", layer[0] + 12 * k, layer[1] - 8 * k, button="left", buttons=1)
    assert browser.execute_script(f"return {style}") == "translate(60px, -40px) scale(1)"
    browser.execute_script("held = false")
    mouse(browser, "mouseReleased", layer[0] + 60, layer[1] - 40, button="left", clickCount=1)
    wait_for(browser, "!document.body.dataset.moving")
    assert browser.execute_script(f"return {style}") == ""
    assert place_of(browser, 7) == pytest.approx([x + 60, y - 40], abs=0.5)
    assert browser.execute_script("return chosen") == -1  # to drag is not to click

    x, y = place_of(browser, 7)
    for _ in range(2):
        mouse(browser, "mouseWheel", x, y, deltaX=0, deltaY=-100)
    wait_for(browser, "!document.body.dataset.moving")
    assert place_of(browser, 7) == pytest.approx([x, y], abs=0.5)  # what is below the pointer stays there
    view = browser.execute_script("return [...view.x, ...view.y]")
    browser.execute_script("at('color').value = '(none)'; return at('color').onchange()")
    shown = browser.execute_script("return [...view.x, ...view.y]")  # more is seen where the colour bar was
    assert np.ptp(shown[2:]) == pytest.approx(np.ptp(view[2:]))
    assert np.mean(shown[:2]) == pytest.approx(np.mean(view[:2]))
    chosen_by_click(browser, 7)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_double_click_shows_the_whole_map_again(browser, tmp_path):
    opened(browser, small_page(tmp_path))
    whole = browser.execute_script("return [...view.x]")
    x, y = place_of(browser, 7)
    mouse(browser, "mouseWheel", x, y, deltaX=0, deltaY=-100)
    wait_for(browser, "!document.body.dataset.moving")
    assert np.ptp(browser.execute_script("return [...view.x]")) < 0.9 * np.ptp(whole)
    for count in (1, 2):
        mouse(browser, "mousePressed", x, y, button="left", buttons=1, clickCount=count)
        mouse(browser, "mouseReleased", x, y, button="left", clickCount=count)
    wait_for(browser, f"Math.abs(view.x[0] - ({whole[0]})) < 1e-6")


def test_a_map_that_is_drawn_fast_follows_at_once_and_comes_to_rest(browser, tmp_path):
    opened(browser, small_page(tmp_path))
    x, y = place_of(browser, 7)
    browser.execute_script("fast = true; move(view.x.map(v => v + 0.1), view.y); settle()")  # twice, as at a drag's end
    for _ in range(5):
        browser.execute_script("fast = true")
        mouse(browser, "mouseWheel", x, y, deltaX=0, deltaY=-20)
    wait_for(browser, "!document.body.dataset.moving")
    assert browser.execute_script("return view.x[0] === at('map')._fullLayout.xaxis.range[0]")
    wait_for(browser, "!drawing")
