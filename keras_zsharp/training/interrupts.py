from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Delays Ctrl-C and all other signals that Python handles until the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        # Python handles signals in the main thread only.
        yield
        return
    found: dict[Any, Any] = {n: signal.getsignal(n) for n in signal.valid_signals()}
    # The handler of Ctrl-C is restored last: an interrupt must not prevent restoring another.
    numbers = sorted((n for n in found if callable(found[n])), key=signal.SIGINT.__eq__)
    waiting: list[Any] = []
    try:
        for number in numbers:
            signal.signal(number, lambda *signal_and_frame: waiting.append(signal_and_frame))
        yield
    finally:
        for number in numbers:
            signal.signal(number, found[number])
        for number, frame in waiting:
            found[number](number, frame)
