"""A warning of noise that is not Keras' own: it differs between the passes."""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_zsharp import interrupts

NUMPY: Any = np.random  # NumPy's annotations lack some of it.


def shared_generators() -> dict[str, Any]:
    """The states of NumPy's generator and of Python's, which all threads share."""
    state: Any = np.random.get_state(legacy=False)
    of_numpy = [np.asarray(part).tobytes() for part in state["state"].values()]
    return {"NumPy": (of_numpy, state.get("has_gauss")), "Python": random.getstate()}


@contextlib.contextmanager
def drawn_here(before: dict[str, Any]) -> Iterator[list[str]]:
    """Encloses a pass, and yields the names of the shared generators that it draws from.

    Threads that feed data draw from them, too: that a generator has moved shows nothing. So it is
    noted who draws. That costs time, and is done only where a generator has moved before.

    Args:
        before: What `shared_generators` returned before another pass over the same layers.
    """
    found: list[str] = []
    between = shared_generators()
    with contextlib.ExitStack() as stack:
        moved = [name for name in before if before[name] != between[name]]
        notes = [stack.enter_context(NOTING[name]()) for name in moved]
        yield found
    after = shared_generators() if moved else between
    # A layer that seeds a generator draws the same numbers in each pass.
    found += [n for n, note in zip(moved, notes, strict=True) if note and after[n] != between[n]]


def who_notes() -> Callable[[], None]:
    """Notes who follows this thread, and returns a function that ends what follows it since then.

    That is what `drawn_here` sets, for the whole process.
    """
    profile = sys.getprofile()

    def put_back():
        if sys.getprofile() is not profile:
            sys.setprofile(profile)
        generator = NUMPY.get_bit_generator()
        if isinstance(generator, MT19937) and generator.of_this_thread:
            _replace(generator.own.lock, generator.own)

    return put_back


def warn_of_noise(drawn: Sequence[str], operations: Sequence[str] = ()) -> None:
    """Warns if a pass has drawn noise that the other pass draws anew.

    Args:
        drawn: What `drawn_here` yielded.
        operations: Names of the graph's operations that draw noise.
    """
    sources = [f"the operations {list(operations[:3])}"] if operations else []
    sources += [f"numbers from {name}'s generator" for name in drawn]
    if sources:
        warnings.warn(
            "The two passes of a step draw different noise: even with rho=0 the model does not "
            "train as plain Keras does. Draw from `keras.random`, whose noise they share. "
            f"Received: a model with {' and '.join(sources)}",
            stacklevel=2,
        )


class MT19937(np.random.MT19937):
    """Notes that the thread that has made it draws: NumPy takes a generator's lock for it.

    The lock is that of the generator in whose place it is: threads may be waiting for that. NumPy
    asks for the class's name where a state is set.
    """

    def __init__(self, own: np.random.MT19937) -> None:
        super().__init__(0)
        self.own, self._lock, self._thread = own, own.lock, threading.get_ident()
        self.noted = False

    @property
    def of_this_thread(self) -> bool:
        return threading.get_ident() == self._thread

    @property
    def lock(self) -> Any:
        return self

    # What takes the lock and leaves it is not in Python: an interrupt cannot come in between, and
    # leave the lock to nobody.
    @property
    def __enter__(self) -> Any:
        self.noted |= self.of_this_thread
        return self._lock.__enter__

    @property
    def __exit__(self) -> Any:
        return self._lock.__exit__


@contextlib.contextmanager
def _noting_numpy():
    own, noted = NUMPY.get_bit_generator(), []
    if type(own) is not np.random.MT19937:  # A user's own one, or this one for another thread.
        yield noted
        return
    noting = MT19937(own)
    _replace(own.lock, noting)
    noting.noted = False  # NumPy takes the lock for getting and setting a state, too.
    try:
        yield noted
    finally:
        noted += [True] * noting.noted
        _replace(own.lock, own)


def _replace(lock, generator):
    """Puts a generator in the place of NumPy's, in its state: the numbers stay the same."""
    with interrupts.held_back(), lock:
        state = np.random.get_state(legacy=False)
        NUMPY.set_bit_generator(generator)
        np.random.set_state(state)


@contextlib.contextmanager
def _noting_python():
    """Only this thread calls what is set here."""
    noted = []
    if sys.getprofile() is not None:  # It would be lost.
        yield noted
        return
    generator, gauss = random.random.__self__, random.Random.gauss.__code__

    def called(frame, event, function):
        if event == "c_call" and function.__name__ in ("random", "getrandbits"):
            noted.extend([True] * (function.__self__ is generator))
        elif event == "call" and frame.f_code is gauss:  # It keeps every other number.
            noted.extend([True] * (frame.f_locals["self"] is generator))

    sys.setprofile(called)
    try:
        yield noted
    finally:
        sys.setprofile(None)


NOTING = {"NumPy": _noting_numpy, "Python": _noting_python}
