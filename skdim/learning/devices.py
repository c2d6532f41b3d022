"""Where to compute."""

from __future__ import annotations

from typing import Any, TypeVar

import torch

from skdim.exceptions import InputError

M = TypeVar("M", bound=torch.nn.Module)


def resolve_device(device: Any) -> str:
    """Resolve "auto", and refuse what torch cannot use here.

    Parameters
    ----------
    device : str
        "auto" is a GPU if torch finds one, else the processor.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If torch has no such device here.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device if isinstance(device, str) else "")
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # AssertionError: what a build of torch without CUDA raises.
        raise InputError(f"device must be 'auto' or a torch device that is present here, got {device!r}.") from error
    return str(device)


def on_device(module: M, device: str) -> M:
    """Move a module to a device, if it is not there.

    Parameters
    ----------
    module : Module
        With at least one parameter.
    device : str
        What `resolve_device` gave.

    Returns
    -------
    Module
        The same.
    """
    # To move a module that is there already looks at every weight, which shows in the time of a small batch.
    there = next(module.parameters()).device == torch.device(device)
    return module if there else module.to(device)
