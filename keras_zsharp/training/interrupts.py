import contextlib
import signal
import threading


@contextlib.contextmanager
def held_back():
    """Has Ctrl-C, and whatever else Python handles of signals, wait for the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        # Python handles signals in the main thread only.
        yield
        return
    found = {number: signal.getsignal(number) for number in signal.valid_signals()}
    # That of Ctrl-C is put back last: no other stays held back because of it.
    numbers = sorted(filter(lambda n: callable(found[n]), found), key=signal.SIGINT.__eq__)
    waiting = []
    try:
        for number in numbers:
            signal.signal(number, lambda *signal_and_frame: waiting.append(signal_and_frame))
        yield
    finally:
        for number in numbers:
            signal.signal(number, found[number])
        for number, frame in waiting:
            found[number](number, frame)
