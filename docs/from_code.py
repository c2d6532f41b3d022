"""Tables and texts made from the package as it is: presets, commands, modules; `made.py` puts them on the pages."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from unittest.mock import patch

from skdim.cli.exits import CRASH, EXIT_CODES
from skdim.cli.program import build_parser
from skdim.learning.presets import PRESETS, Preset, model_config
from skdim.network.config import ModelConfig
from skdim.points.features import SITE_FEATURES
from skdim.points.featurizer import CrystalPointSetTransformer

# What does not change a vector, or belongs to the other neighbourhood.
_NOT_SHOWN = {"max_sites", "on_error", "n_jobs", "cache_dir", "verbose"}
_OF_NEIGHBORHOOD = {"n_neighbors": "shell", "supercell_size": "supercell"}
_FIXED = ("weight_decay", "amsgrad", "schedule")
_HELP_WIDTH = "100"
_ROOT = Path(__file__).parent.parent


def preset_rows() -> Iterator[tuple[str, str, list[object]]]:
    """Yield where a parameter is set, its name, and its value in each preset."""
    featurizers = [_featurizer(preset) for preset in PRESETS.values()]
    for name in featurizers[0]:
        yield "featurizer", name, [f[name] for f in featurizers]
    for group, part in (("encoder_params", "encoder"), ("objective_params", "objective")):
        values = [asdict(getattr(preset, part)) for preset in PRESETS.values()]
        for name in values[0]:
            yield group, name.rstrip("_"), [v[name] for v in values]
    plain = [name for name in Preset.__dataclass_fields__ if name not in ("featurizer", "encoder", "objective")]
    for name in sorted(plain, key=lambda name: name in _FIXED):
        yield "fixed" if name in _FIXED else "the embedder", name, [getattr(p, name) for p in PRESETS.values()]
    for name in ("local_dim", "global_dim"):
        yield "fixed" if name == "local_dim" else "embedding_dim", name, [_width(p, name) for p in PRESETS.values()]


def _featurizer(preset: Preset) -> dict[str, object]:
    """The parameters of a preset's featurizer that decide its vectors."""
    values = CrystalPointSetTransformer(**preset.featurizer).get_params()
    unused = {name for name, kind in _OF_NEIGHBORHOOD.items() if values["neighborhood"] != kind}
    return {name: "–" if name in unused else v for name, v in values.items() if name not in _NOT_SHOWN}


def _width(preset: Preset, name: str) -> object:
    """A width of the published vectors, where the preset has them."""
    config: ModelConfig = model_config(preset, ("occupancy",), ("distance",))
    return getattr(config, name) if config.has_gaussians else "–"


def module_rows(package: str = "skdim") -> Iterator[tuple[str, str]]:
    """Yield every module, those that import nothing of the package first, with the first paragraph of its docstring.

    After a package come the modules in it, where the contracts order them.
    """
    contracts = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c.get("containers") == [package])
    ordered = {name for contract in contracts for name in contract.get("containers", [])}
    for layer in reversed(layers):
        for name in re.findall(r"\w+", layer):
            place = _ROOT.joinpath(*package.split("."), name)
            file = place.with_suffix(".py")
            text = ast.get_docstring(ast.parse((file if file.exists() else place / "__init__.py").read_text("utf-8")))
            yield f"{package}.{name}", " ".join((text or "").split("\n\n")[0].split())
            if f"{package}.{name}" in ordered:
                yield from module_rows(f"{package}.{name}")


def preset_table() -> Iterator[list[str]]:
    """Every parameter of every preset, side by side; those that differ are bold."""
    yield ["Set through", "Parameter", *(f'`preset="{name}"`' for name in PRESETS)]
    for where, name, values in preset_rows():
        shown = [str(value) if value == "–" else f"`{value!r}`" for value in values]
        label = f"`{name}`" if len(set(shown)) == 1 else f"**{name}**"
        yield [where if where in ("fixed", "the embedder") else f"`{where}`", label, *shown]


def site_feature_table() -> Iterator[list[str]]:
    """The named sets of elemental properties."""
    yield ["Set", "Properties", "Tables"]
    for name, tables in SITE_FEATURES.items():
        yield [f'`"{name}"`', str(len(tables)), ", ".join(tables)]


def command_help(command: str = "") -> str:
    """What ``skdim COMMAND --help`` prints at a fixed width; without a command, what ``skdim --help`` does."""
    with patch.dict(os.environ, COLUMNS=_HELP_WIDTH, NO_COLOR="1"):
        parser = build_parser()
        if command:
            (kinds,) = (a for a in parser._subparsers._group_actions if a.choices)
            parser = kinds.choices[command]
        return parser.format_help()


def exit_code_table() -> Iterator[list[str]]:
    """What each exit code of the command line means."""
    yield ["Code", "Meaning"]
    for code, meaning in (*EXIT_CODES, ("else", CRASH)):
        yield [str(code), meaning.replace("--on-error nan", "`--on-error nan`")]


def module_table() -> Iterator[list[str]]:
    """Every module with the first sentence of its docstring, in the order of imports."""
    yield ["Module of `skdim`", "Is for"]
    for name, text in module_rows():
        yield [f"`{name.removeprefix('skdim.')}`", text.replace("``", "`")]
