"""What is said of interrupted fits: in the thread that was interrupted, whatever other threads do."""

from __future__ import annotations

import threading
import warnings

import pytest

from skdim._crystalpredictor import whole_or_not_at_all
from skdim._estimators import pass_on


class Fitted:
    """A model whose fits begin before those of other threads end, and end after them."""

    begun, ended = threading.Event(), threading.Event()

    @whole_or_not_at_all
    def fit(self, first: bool) -> None:
        """Fit."""
        if first:
            self.begun.set()
            assert self.ended.wait(10)
        else:
            assert self.begun.wait(10)
        with pytest.raises(KeyboardInterrupt):
            pass_on(" in a part.", 1)


def test_fits_of_several_threads_leave_the_filters_of_warnings_as_they_were() -> None:
    before = list(warnings.filters)
    threads = [threading.Thread(target=Fitted().fit, args=(first,)) for first in (True, False)]
    for thread in threads:
        thread.start()
    threads[1].join()
    Fitted.ended.set()
    threads[0].join()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="fit was interrupted: this is said"), pytest.raises(KeyboardInterrupt):
        pass_on(": this is said.", 1)
