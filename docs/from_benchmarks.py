"""Tables of the recorded runs of the scripts in ``benchmarks``, and what follows from them by arithmetic."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from skdim.learning.presets import PRESETS

_RECORD = Path(__file__).parent.parent / "benchmarks" / "scaling.json"
_STAGES, _PROCESSES = _RECORD.with_name("stages.json"), _RECORD.with_name("processes.json")
_ALTERNATIVES = _RECORD.with_name("alternatives.json")
_READING = _RECORD.with_name("reading.json")
_MAP_PAGE = _RECORD.with_name("map_page.json")
_SPEEDS = [_RECORD.with_name(name) for name in ("speed.json", "speed_elastic.json", "speed_large.json")]
_SETS = {"matbench formation energies": 132_752, "Alexandria": 5_000_000, "a hundred million structures": 100_000_000}
_NODE, _NODES = 64, 16  # cores of the node that is reckoned with, and nodes of the cluster
_TITLES = {
    "crystals": "crystals",
    "seconds": "s",
    "mebibytes": "MiB above start",
    "bytes_written": "bytes written",
    "pairs": "pairs",
    "site_rows": "site rows",
    "bytes_stored": "bytes stored",
    "sites": "sites",
}


def title(column: str) -> str:
    """A heading for a column of the record."""
    return _TITLES.get(column) or column.replace("_seconds", ", s").replace("_mebibytes", ", MiB above start")


def plain(value: float) -> str:
    """Write a number with up to four digits that count, and never with an exponent.

    >>> plain(10000), plain(0.00390625), plain(132752), plain(2.5)
    ('10,000', '0.003906', '132,752', '2.5')
    """
    if value == round(value) or abs(value) >= 1000:
        return f"{round(value):,}"
    digits = max(3 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{digits}f}".rstrip("0").rstrip(".")


def _cell(column: str, value: float) -> str:
    """Write a value of a column; a tenth of a mebibyte is as fine as memory is known."""
    return f"{value:,.1f}" if column.endswith("mebibytes") else plain(value)


def unit_costs(record: dict[str, Any]) -> dict[str, float]:
    """Cost of one crystal on one core, from the largest measurement: seconds of each stage and bytes."""
    store, files, threads = record["store"][-1], record["files"][-1], record["settings"]["threads"]
    n = store["crystals"]
    return {
        "featurize": store["featurize_seconds"] / n,  # one process, which has one thread
        "epoch": store["epoch_seconds"] * threads / n,
        "embed": store["embed_seconds"] * threads / n,
        "pairs": store["pairs"] / n,
        "store_bytes": store["bytes_stored"] / n,
        "vector_bytes": files["bytes_written"] / files["crystals"],
    }


def measured_rows(record: dict[str, Any], kind: str) -> list[list[str]]:
    """One of the tables as it was measured."""
    rows = record[kind]
    return [
        [title(column) for column in rows[0]],
        *([_cell(name, value) for name, value in row.items()] for row in rows),
    ]


def exponent_rows(record: dict[str, Any]) -> list[list[str]]:
    """The exponents and their intervals."""
    rows = [[name, f"{v['exponent']:.3f}", f"{v['low']:.3f} to {v['high']:.3f}"] for name, v in record["fits"].items()]
    return [["Time of", "Exponent", "95 % interval"], *rows]


def cost_rows(record: dict[str, Any]) -> list[list[str]]:
    """Seconds and bytes of a crystal and of a pair."""
    cost = unit_costs(record)
    names = {"featurize": "featurizing", "epoch": "an epoch of training", "embed": "embedding"}
    rows = [
        [f"{name}, core seconds", f"{cost[key]:.3g}", f"{cost[key] / cost['pairs']:.3g}"] for key, name in names.items()
    ]
    names = {"store_bytes": "the store", "vector_bytes": "the vector in a Parquet file"}
    rows += [[f"{name}, bytes", f"{cost[key]:,.0f}", f"{cost[key] / cost['pairs']:.3g}"] for key, name in names.items()]
    return [["", "A crystal", "A pair"], *rows]


def plan_rows(record: dict[str, Any]) -> list[list[str]]:
    """What large sets take: unit costs times crystals, divided by cores."""
    cost, epochs, cores = unit_costs(record), PRESETS["default"].training.max_epochs, record["machine"]["cores"]
    head = ["Set", "Crystals", "Cores", "Featurize, h", "One epoch, h", f"{epochs} epochs, h", "Embed, h", "Store, GB"]
    rows = []
    for name, n in _SETS.items():
        for many in (cores, _NODE, _NODE * _NODES):
            hours = {key: cost[key] * n / many / 3600 for key in ("featurize", "epoch", "embed")}
            times = [hours["featurize"], hours["epoch"], hours["epoch"] * epochs, hours["embed"]]
            sizes = [cost["store_bytes"] * n / 1e9, cost["vector_bytes"] * n / 1e9]
            rows.append([name, f"{n:,}", f"{many:,}", *(f"{value:,.3g}" for value in [*times, *sizes])])
    return [[*head, "Vectors, GB"], *rows]


def stage_rows(record: dict[str, Any]) -> list[list[str]]:
    """Where the time of a training step and of embedding goes."""
    del record  # a file of its own
    stages = json.loads(_STAGES.read_text(encoding="utf-8"))["stages"]
    rows = [[s["step"], s["stage"], f"{s['microseconds']:.1f}", f"{s['share']:.0%}"] for s in stages]
    return [["Step", "Stage", "Microseconds a crystal", "Share"], *rows]


def speed_rows(record: dict[str, Any]) -> list[list[str]]:
    """Crystals a second beside those of the yardstick that was measured in the same run."""
    del record
    rows = [["Data", "Crystals", "", "Featurize", "Train, an epoch", "Embed", "Peak memory, MiB"]]
    for file in _SPEEDS:
        speed = json.loads(file.read_text(encoding="utf-8"))
        given = speed["settings"]
        for name, row in speed["medians"].items():
            times = speed["ratios"].get(name)
            stages = ("featurise_per_s", "train_per_s", "embed_per_s")
            # What is shipped is trained already.
            rates = [
                (f"{row[s]:,.0f}", f" ({times[s]:.1f}x)" if times else "") if s in row else ("", "") for s in stages
            ]
            cells = ["".join(rate) for rate in rates]
            rows.append([given["data"], f"{given['crystals']:,}", name, *cells, f"{row['peak_mib']:,.0f}"])
    return rows


def process_rows(record: dict[str, Any]) -> list[list[str]]:
    """Seconds of a cold start, and what a second featurizing process gains."""
    del record
    given = json.loads(_PROCESSES.read_text(encoding="utf-8"))
    start, both, n = given["cold_start"], given["featurize"], given["settings"]["crystals"]
    return [
        ["", "Median"],
        ["importing torch and scikit-learn, s", f"{start['torch and scikit-learn']:.2f}"],
        ["then importing skdim, s", f"{start['skdim']:.3f}"],
        ["then the vector of one file by a saved model, s", f"{start['first vector']:.2f}"],
        [f"featurizing {n:,} structures in memory, crystals/s", f"{both['one process, a second']:,.0f}"],
        ["the same by two processes, crystals/s", f"{both['two processes, a second']:,.0f} ({both['ratio']:.2f}x)"],
    ]


def cif_rows(record: dict[str, Any]) -> list[list[str]]:
    """Time and memory of `skdim embed` on folders of CIF files, in one process and in two."""
    del record
    rows = [["CIF files", "1 process, s", "2 processes, s", "faster by", "1 process, MiB", "2 processes, MiB"]]
    for count, found in json.loads(_READING.read_text(encoding="utf-8"))["command"].items():
        one, two = found["jobs 1"], found["jobs 2"]
        seconds = [f"{jobs['seconds']:.2f}" for jobs in (one, two)]
        memory = [f"{jobs['peak_mib']:,.0f}" for jobs in (one, two)]
        rows.append([f"{int(count):,}", *seconds, f"{one['seconds'] / two['seconds']:.2f}", *memory])
    return rows


def parsing_rows(record: dict[str, Any]) -> list[list[str]]:
    """Time a CIF file takes, beside that of parsing it with pymatgen, and time of a large one."""
    del record
    given = json.loads(_READING.read_text(encoding="utf-8"))
    return [
        [f"{given['files']:,} CIF files, one process", "Milliseconds a file"],
        ["pymatgen parses it", f"{given['pymatgen_parse_ms']:.2f}"],
        ["skdim reads it", f"{given['read_ms']:.2f}"],
        [
            "skdim reads, featurizes and embeds it",
            f"{given['embed_ms']:.2f} ({given['embed_over_parse']:.2f} of parsing)",
        ],
        [f"skdim reads one of {given['large_sites']:,} sites", f"{1000 * given['large_s']:,.0f}"],
    ]


def map_rows(record: dict[str, Any]) -> list[list[str]]:
    """Times of a page of many crystals in a browser without a GPU, coloured by a number and by a text."""
    del record
    given = json.loads(_MAP_PAGE.read_text(encoding="utf-8"))
    kinds = [given["number"], given["text"]]
    rows = [[f"{given['points']:,} crystals, Chromium without a GPU", "coloured by a number", "by a text"]]
    rows.append(["the page is open, s", *(f"{times['ready_s']:.1f}" for times in kinds)])
    for doing, name in (("dragging", "pan_ms"), ("zooming", "zoom_ms")):
        frames = [f"{times[name]:.0f} ({times[f'{name}_of_the_slowest_20th']:.0f})" for times in kinds]
        rows.append([f"a frame while {doing} (the slowest twentieth), ms", *frames])
    rows.append(["then all points are drawn where they are, ms", *(f"{times['pan_rest_ms']:.0f}" for times in kinds)])
    return rows


def alternative_rows(record: dict[str, Any]) -> list[list[str]]:
    """Speed with each alternative, as it is being 1."""
    alternatives = json.loads(_ALTERNATIVES.read_text(encoding="utf-8"))["alternatives"]
    ratios: dict[str, dict[str, str]] = {}
    for row in alternatives:
        ratios.setdefault(row["alternative"], {})[row["step"]] = f"{row['ratio']:.2f}"
    steps = ("embedding", "training")
    return [["", *steps], *([name, *(found.get(step, "–") for step in steps)] for name, found in ratios.items())]


_TABLES = {
    "exponents": exponent_rows,
    "costs": cost_rows,
    "plans": plan_rows,
    "stages": stage_rows,
    "speed": speed_rows,
    "processes": process_rows,
    "alternatives": alternative_rows,
    "cifs": cif_rows,
    "parsing": parsing_rows,
    "map": map_rows,
}


def scaling_rows(kind: str) -> list[list[str]]:
    """A table of the recorded runs: files, store, sites or one of `_TABLES`."""
    record = json.loads(_RECORD.read_text(encoding="utf-8"))
    return _TABLES[kind](record) if kind in _TABLES else measured_rows(record, kind)


def source() -> str:
    """Say where and when the recorded run was made."""
    record = json.loads(_RECORD.read_text(encoding="utf-8"))
    machine, versions = record["machine"], record["versions"]
    changed = ", with changes that were not committed" if record["changed"] else ""
    return (
        f"Recorded on {record['date'][:10]} at commit `{record['commit']}`{changed}: {machine['cores']} cores "
        f"({machine['processor']}), {record['settings']['threads']} threads, torch {versions['torch']}, numpy "
        f"{versions['numpy']}, Python {versions['python']}."
    )
