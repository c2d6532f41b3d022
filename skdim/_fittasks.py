"""Epochs and parts of a fit as tasks of scikit-learn's callbacks (``set_callbacks``, from its version 1.9 on)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar, cast

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # earlier versions, where estimators have no set_callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    def _with_callbacks(method: Any) -> Any:
        """Give the method back."""
        return method


__all__ = ["CallbackSupportMixin", "FitTasks", "fit_tasks", "part_of", "with_callbacks"]

_Method = TypeVar("_Method", bound=Callable[..., Any])


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
