"""Structures fetched from a real server of OPTIMADE, started here with crystals made here."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from skdim import CrystalPointSetTransformer
from skdim.crystals.structures import coerce_structure
from skdim.datasets import fetch_optimade
from skdim.exceptions import InputError, StructureError
from tests.crystals.test_records import as_optimade, disordered, same
from tests.handmade import iron, perovskite, salt, silicon

CRYSTALS = [salt(), iron(), perovskite(), silicon(), disordered()]


def document(number: int, structure) -> dict:
    elements = sorted({element.symbol for element in structure.composition.elements})
    formula = structure.composition.reduced_formula
    names = ("descriptive", "reduced", "anonymous")
    return {
        **as_optimade(structure),
        **{f"chemical_formula_{name}": formula for name in names},
        "id": f"t-{number}",
        "task_id": f"t-{number}",
        "last_modified": "2024-01-01T00:00:00Z",
        "elements": elements,
        "nelements": len(elements),
        "elements_ratios": [1 / len(elements)] * len(elements),
        "nsites": len(structure),
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("optimade.server", reason="optimade[server] is not installed")
    folder = tmp_path_factory.mktemp("optimade")
    documents = [document(number, structure) for number, structure in enumerate(CRYSTALS)]
    (folder / "documents.json").write_text(json.dumps(documents))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(__file__).with_name("optimade_server.py")
    words = [sys.executable, str(program), str(port), str(folder / "documents.json")]
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with (folder / "log").open("w") as log, subprocess.Popen(words, stdout=log, stderr=log, env=quiet) as process:
        url = f"http://127.0.0.1:{port}"
        while process.poll() is None:
            try:
                urlopen(f"{url}/v1/info", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        assert process.poll() is None, (folder / "log").read_text()
        yield url
        process.terminate()


@pytest.mark.slow
def test_structures_come_page_by_page_with_their_ids_and_properties(server):
    found = fetch_optimade("", server, page_size=2, properties=["nsites", "nelements"])
    assert found.material_id == [f"t-{k}" for k in range(5)]
    assert found.properties == {"nsites": [8, 1, 5, 8, 3], "nelements": [2, 1, 3, 1, 3]}
    assert not found.more
    for row, structure in zip(found.data, CRYSTALS, strict=True):
        assert same(coerce_structure(row), structure)
    points = CrystalPointSetTransformer().transform(found.data)
    want = CrystalPointSetTransformer().transform(CRYSTALS)
    np.testing.assert_allclose(points.distance, want.distance, atol=1e-5)


@pytest.mark.slow
def test_filters_and_bounds_are_those_asked_for(server):
    oxides = fetch_optimade('elements HAS "O"', f"{server}/v1/", max_crystals=1)
    assert (oxides.material_id, oxides.more) == (["t-2"], True)
    assert fetch_optimade('elements HAS ALL "Na","Cl"', server).material_id == ["t-0"]
    none = fetch_optimade('elements HAS "Pu"', server)
    assert (none.data, none.more) == ([], False)
    with pytest.raises(InputError, match=r"refused by the server \(400\): Unable to parse filter"):
        fetch_optimade("bad bad", server)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"max_crystals": 0}, "max_crystals must be an integer >= 1, got 0"),
        ({"page_size": True}, "page_size must be an integer >= 1, got True"),
        ({"provider": "ftp://x"}, "provider must be an http"),
    ],
)
def test_parameters_are_checked_before_anything_is_asked(words, message):
    with pytest.raises(InputError, match=message):
        fetch_optimade("", **{"provider": "http://127.0.0.1:1", **words})


def test_no_server_is_a_connection_error():
    with pytest.raises(ConnectionError, match="cannot be fetched"):
        fetch_optimade("", "http://127.0.0.1:1", timeout=5)


@pytest.fixture
def answering():
    """A server that answers all requests alike."""
    answers = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                answers[-1].replace(b"HERE", f"http://127.0.0.1:{self.server.server_port}{self.path}".encode())
            )

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", answers
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "does not answer as OPTIMADE"),
        (b"[" * 100_000, "does not answer as OPTIMADE"),
        (b'{"data": {}}', "no list 'data'"),
        (b'{"data": [], "links": {"next": "HERE"}}', "no further page"),
        (b'{"data": [], "links": {"next": "http://169.254.169.254/secret"}}', "no further page of that server"),
        (b'{"data": [], "links": {"next": {"href": "file:///etc/passwd"}}}', "no further page of that server"),
    ],
)
def test_servers_that_answer_otherwise(answering, answer, message):
    url, answers = answering
    answers.append(answer)
    with pytest.raises(ConnectionError, match=message):
        fetch_optimade("", url)


def test_structures_that_cannot_be_used_are_named_by_their_ids(answering):
    url, answers = answering
    answers.append(
        json.dumps({"data": [{"id": "x-1", "attributes": {"lattice_vectors": None}}, {"id": "x-2"}]}).encode()
    )
    rows = fetch_optimade("", url).data
    with pytest.raises(StructureError, match=r"row 0 \(x-1\): .*\n  row 1 \(x-2\): "):
        CrystalPointSetTransformer().transform(rows)
