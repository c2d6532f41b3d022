"""YAML is plain data of a bounded size."""

import pytest
from ruamel.yaml import YAML

from skdim.crystals.structures import coerce_structure
from skdim.crystals.textformats import load_yaml
from tests.handmade import perovskite


def test_a_structure_in_yaml_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    with path.open("w") as file:
        YAML().dump(perovskite().as_dict(), file)
    assert coerce_structure(path).matches(perovskite())


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}' if k else 'x'] * 9)}]" for k in range(12)),
        "a: &a [*a]",
        "[" * 5000,
        "a: " + "x" * (2 << 20),
        "a: !!python/object/apply:os.system [ls]",
        "a: !!python/name:os.system",
    ],
)
def test_yaml_that_unfolds_without_end_or_names_code_is_refused(text):
    with pytest.raises(ValueError, match="YAML"):
        load_yaml(text)
