"""What estimators of crystals tell scikit-learn, notebooks and users: tags, tables, tasks of a fit, interrupts.

Mixins stand before ``BaseEstimator``. Epochs and parts of a fit are tasks of scikit-learn's callbacks
(``set_callbacks``, from its version 1.9 on).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar, cast

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdim._notebook import html_table

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin  # for others to import it from here
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # earlier versions, where estimators have no set_callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    def _with_callbacks(method: Any) -> Any:
        """Give the method back."""
        return method


_Method = TypeVar("_Method", bound=Callable[..., Any])
_UNTOLD: ContextVar[bool] = ContextVar("skdim_untold", default=False)
_PAGE = "generated/{estimator_module}.html#{estimator_module}.{estimator_name}"


class CrystalEstimator:
    """Takes crystals; its diagram links to its documentation."""

    _doc_link_module = "skdim"

    @property
    def _doc_link_template(self) -> str:
        """Address of a page, as scikit-learn fills it in; empty where there are no pages."""
        base = documentation_address()
        return f"{base}/{_PAGE}" if base else ""

    def __sklearn_tags__(self) -> Any:
        """Crystals are no two-dimensional array."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = False
        return tags


class KeepsEmbedder(CrystalEstimator):
    """Has a parameter ``embedder``, which stays fitted in clones: cross-validation starts from its weights."""

    embedder: Any

    def __sklearn_clone__(self) -> Self:
        """Clone the parameters but for a fitted embedder, of which a copy shares the weights."""
        bare, given = copy.copy(self), self.embedder
        bare.embedder = None
        fresh: Self = super(KeepsEmbedder, bare).__sklearn_clone__()  # type: ignore[misc]
        fresh.embedder = copy.copy(given) if hasattr(given, "state_") else clone(given, safe=False)
        return fresh


def thawed(embedder: Any) -> Any:
    """Return the embedder itself, of one in scikit-learn's FrozenEstimator."""
    return embedder.estimator if isinstance(embedder, FrozenEstimator) else embedder


class LearnedTable(CrystalEstimator):
    """Shows below its diagram a table of what it learned."""

    def _learned(self) -> Mapping[str, str]:
        """What is shown of a fitted estimator; nothing of one that is not fitted."""
        return {}

    def _learned_html(self) -> str:
        """Write the table, where there is something to show."""
        learned = self._learned()
        return html_table("Fitted", learned) if learned else ""

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """What a notebook shows."""
        shown: dict[str, str] = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in shown:
            shown["text/html"] += self._learned_html()
        return shown

    def _repr_html_inner(self) -> str:
        """What pages show that do not ask for `_repr_mimebundle_`."""
        return f"{super()._repr_html_inner()}{self._learned_html()}"  # type: ignore[misc]


@cache
def documentation_address() -> str:
    """Return where the documentation is: the address that the distribution names as its "Documentation".

    Else it is that of the pages that ``make docs`` has built beside the package; empty where there are neither.
    """
    try:
        named = metadata("skdim-crystals").get_all("Project-URL") or []
    except PackageNotFoundError:
        named = []
    for label, _, address in (line.partition(", ") for line in named):
        if label.lower() == "documentation":
            return str(address).rstrip("/")
    built = Path(__file__).parents[1] / "docs" / "_build" / "html"
    return built.as_uri() if (built / "index.html").is_file() else ""


def with_callbacks(method: _Method) -> _Method:
    """Decorate a method that fits, so that callbacks are put away after it, however it ends."""
    return cast(_Method, _with_callbacks(method))


class FitTasks:
    """One fit, within a method that `with_callbacks` decorates."""

    def __init__(self, estimator: Any, X: Any, y: Any = None) -> None:
        self._given = {"estimator": estimator, "X": X, "y": y}
        # How many epochs there will be depends on the losses.
        self._fit = estimator._init_callback_context(max_subtasks=None)
        self._fit.call_on_fit_task_begin(**self._given)

    def begin_epoch(self) -> None:
        """An epoch begins."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._given)

    def end_epoch(self) -> bool:
        """An epoch is complete; tell whether a callback asks to stop."""
        return bool(self._epoch.call_on_fit_task_end(**self._given))

    @contextmanager
    def part(self, name: str, estimator: Any) -> Iterator[None]:
        """Another estimator is fitted meanwhile, which hears of the callbacks too."""
        task = self._fit.subcontext(task_name=name)
        with task.propagate_callback_context(estimator):
            task.call_on_fit_task_begin(**self._given)
            yield
            task.call_on_fit_task_end(**self._given)

    def end(self) -> None:
        """The estimator is fitted."""
        estimator = self._given["estimator"]
        fitted = {name: value for name, value in vars(estimator).items() if name.endswith("_")}
        self._fit.call_on_fit_task_end(**self._given, reconstruction_attributes=fitted)


def fit_tasks(estimator: Any, X: Any, y: Any = None) -> FitTasks | None:
    """Begin the tasks of fitting an estimator to X and y, if anybody wants to know of them."""
    watched = hasattr(estimator, "_skl_callbacks") or hasattr(estimator, "_parent_callback_ctx")
    return FitTasks(estimator, X, y) if watched else None


def part_of(tasks: FitTasks | None, name: str, estimator: Any) -> AbstractContextManager[None]:
    """Fit another estimator within a fit, as the task of this name if anybody wants to know."""
    return nullcontext() if tasks is None else tasks.part(name, estimator)


def pass_on(kept: str, stacklevel: int) -> NoReturn:
    """Warn that a fit was interrupted and what it has kept, then pass the interrupt on.

    ``stacklevel`` counts from the caller, as that of `warnings.warn` does.
    """
    if not _UNTOLD.get():
        warnings.warn(f"fit was interrupted{kept}", UserWarning, stacklevel=stacklevel + 1)
    raise KeyboardInterrupt


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Say nothing of what parts of a fit have kept, as the whole keeps nothing of it.

    In this thread alone: filters of warnings are those of the process, and fits in several threads would put back each
    other's.
    """
    token = _UNTOLD.set(True)
    try:
        yield
    finally:
        _UNTOLD.reset(token)
