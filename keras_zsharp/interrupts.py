from __future__ import annotations

import contextlib
import functools
import threading
from _signal import SIGINT, getsignal, signal, valid_signals  # pyright: ignore[reportMissingImports]
from collections.abc import Callable, Iterator
from typing import Any

# The functions of `signal` make enums of each number and handler: a fifth of a small step.
_SIGNALS = tuple(valid_signals())


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Delays Ctrl-C and all other signals that Python handles until the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        # Python handles signals in the main thread only.
        yield
        return
    found: dict[Any, Any] = {number: getsignal(number) for number in _SIGNALS}
    # The handler of Ctrl-C is restored last: an interrupt must not prevent restoring another.
    numbers = sorted((n for n in found if callable(found[n])), key=SIGINT.__eq__)
    waiting: list[Any] = []
    try:
        for number in numbers:
            signal(number, lambda *signal_and_frame: waiting.append(signal_and_frame))
        yield
    finally:
        for number in numbers:
            signal(number, found[number])
        for number, frame in waiting:
            found[number](number, frame)


class PutBack:
    """A context that calls a function as it is left, or else only if the block raises an error.

    It is no generator. An interrupt that comes as the block begins would leave that suspended, and
    it would put back what is no longer so when it is collected as garbage.

    Args:
        put_back: The function.
        always: Whether it is called without an error, too.
        value: What the context yields.
    """

    def __init__(
        self, put_back: Callable[[], object], always: bool = True, value: Any = None
    ) -> None:
        self._put_back, self._always, self._value = put_back, always, value

    def __enter__(self) -> Any:
        return self._value

    def __exit__(self, kind: object, *error: object) -> None:
        if self._always or kind is not None:
            self._put_back()


def puts_back(*kept: Callable[[], Callable[[], None]]) -> Callable[..., Any]:
    """Decorates a function that changes for a while what the whole thread or process shares.

    An interrupt may cut a context as it is left, which then stays open. So its function puts back
    what was there before, whatever has been cut within.

    Args:
        *kept: Functions that note what is there, and return one that puts it back.
    """

    def decorate(function):
        @functools.wraps(function)
        def whole(*args, **kwargs):
            back = [note() for note in kept]
            try:
                return function(*args, **kwargs)
            finally:
                for put_back in back:
                    put_back()

        return whole

    return decorate
