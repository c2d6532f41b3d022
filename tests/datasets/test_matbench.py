import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from matminer.datasets import get_all_dataset_info, get_available_datasets
from matminer.datasets.dataset_retrieval import get_dataset_columns
from matminer.utils.io import store_dataframe_as_json
from pymatgen.core import Structure

from skdim.datasets import _matbench, fetch_matbench, load_piezoelectric

FILE = "matbench_jdft2d.json.gz"


@pytest.fixture
def crystals():
    """Take a dozen real crystals in Matbench's form."""
    bunch = load_piezoelectric(subset="test")
    return pd.DataFrame({"structure": list(bunch.data[:12]), "exfoliation_en": bunch.target[:12]})


@pytest.fixture
def stored(crystals, tmp_path):
    """Write a file in matminer's format and give the source that states its right hash."""
    path = tmp_path / "stored" / FILE
    path.parent.mkdir()
    store_dataframe_as_json(crystals, str(path), pbar=False)
    source = _matbench.find_source("jdft2d", path.parent)
    return replace(source, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def served(stored):
    """Put the same file behind a web server on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        requests = 0

        def log_message(self, *args):
            Quiet.requests += 1

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(stored.path.parent)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{FILE}", Quiet
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def offline(monkeypatch):
    """Send every request to a port where nobody listens: a closed network, whatever this machine's is."""
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")


def test_the_tasks_are_those_of_matminer():
    known = [name for name in get_available_datasets(print_format=None) if name.startswith("matbench_")]
    with_structures = [name for name in known if "structure" in get_dataset_columns(name)]
    assert sorted(_matbench.STRUCTURE_TASKS) == sorted(with_structures)
    assert sorted(_matbench.COMPOSITION_TASKS) == sorted(set(known) - set(with_structures))


@pytest.mark.parametrize("task", _matbench.STRUCTURE_TASKS)
def test_the_source_of_a_task_is_what_matminer_states(task, tmp_path):
    source = _matbench.find_source(task, tmp_path)
    about = get_all_dataset_info(task)
    assert source.url in about
    assert source.target in about
    assert source.path == tmp_path / f"{task}.json.gz"
    assert len(source.sha256) == 64
    assert source == _matbench.find_source(task.removeprefix("matbench_"), str(tmp_path))


def test_data_home_defaults_to_that_of_matminer(monkeypatch, tmp_path):
    import matminer.datasets

    monkeypatch.delenv("MATMINER_DATA", raising=False)
    assert str(_matbench.find_source("jdft2d", None).path.parent) in matminer.datasets.__file__
    monkeypatch.setenv("MATMINER_DATA", str(tmp_path))
    assert _matbench.find_source("jdft2d", None).path.parent == tmp_path


def test_a_task_on_compositions_is_refused():
    with pytest.raises(
        ValueError, match=r"'steels' is a task on compositions, without structures; .*matbench_dielectric"
    ):
        fetch_matbench("steels")


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match=r"'formation_energy' is no Matbench task; .*matbench_mp_e_form"):
        fetch_matbench("formation_energy")


def test_offline_the_error_says_what_is_missing_where_and_what_to_do(offline, tmp_path):
    home = tmp_path / "not_yet"
    with pytest.raises(ConnectionError) as caught:
        fetch_matbench("jdft2d", data_home=home)
    message = str(caught.value)
    for part in (f"{home / FILE}", "https://", "could not be downloaded", "data_home", "sha256"):
        assert part in message
    assert not home.exists()


def test_a_missing_file_is_not_downloaded_when_that_is_forbidden(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{FILE} does not exist and download_if_missing is False.*https://"):
        fetch_matbench("jdft2d", data_home=tmp_path, download_if_missing=False)


def test_a_file_with_another_hash_is_refused(stored):
    with pytest.raises(OSError, match=rf"{FILE} is damaged .*{stored.sha256}.*Delete the file"):
        fetch_matbench("jdft2d", data_home=stored.path.parent)
    assert stored.path.exists(), "a file of the user's is not ours to delete"


def test_a_file_that_the_server_lacks_is_reported(served, stored, tmp_path):
    url, _ = served
    missing = replace(stored, url=f"{url}.old", path=tmp_path / "new" / FILE)
    with pytest.raises(ConnectionError, match=r"could not be downloaded from .*404"):
        _matbench.ensure_file(missing, download_if_missing=True)
    assert not missing.path.parent.exists()


def test_a_damaged_download_is_tried_again_and_never_kept(served, stored, tmp_path):
    url, server = served
    wrong = replace(stored, url=url, path=tmp_path / "new" / FILE, sha256="0" * 64)
    with pytest.raises(OSError, match=r"delivered a damaged file 3 times: .*0000.*Nothing was kept"):
        _matbench.ensure_file(wrong, download_if_missing=True)
    assert server.requests == 3
    assert list(wrong.path.parent.iterdir()) == []


def test_a_sound_download_is_kept_and_not_repeated(served, stored, tmp_path):
    url, server = served
    source = replace(stored, url=url, path=tmp_path / "new" / FILE)
    _matbench.ensure_file(source, download_if_missing=True)
    _matbench.ensure_file(source, download_if_missing=True)
    assert server.requests == 1
    assert source.path.read_bytes() == stored.path.read_bytes()
    assert [path.name for path in source.path.parent.iterdir()] == [FILE]


def test_a_sound_file_is_read_as_a_bunch(stored, crystals):
    bunch = _matbench.read(stored, return_X_y=False, as_frame=False)
    assert bunch.data.shape == bunch.target.shape == (12,)
    assert all(isinstance(structure, Structure) for structure in bunch.data)
    assert all(a == b for a, b in zip(bunch.data, crystals["structure"], strict=True))
    np.testing.assert_allclose(bunch.target, crystals["exfoliation_en"])
    assert bunch.target_names == ["exfoliation_en"]
    assert list(bunch.material_id[[0, -1]]) == ["mb-jdft2d-01", "mb-jdft2d-12"]
    assert "meV/atom" in bunch.DESCR
    assert "test_mask" not in bunch


def test_a_sound_file_is_read_as_a_frame(stored):
    X, y = _matbench.read(stored, return_X_y=True, as_frame=True)
    assert X.shape == (12, 1)
    assert isinstance(y, pd.Series)
    frame = _matbench.read(stored, return_X_y=False, as_frame=True).frame
    assert list(frame) == ["material_id", "structure", "exfoliation_en"]
