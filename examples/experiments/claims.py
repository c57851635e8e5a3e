"""Which of several processes does a run: the one that holds the lock of its folder."""

import contextlib

import filelock


@contextlib.contextmanager
def claimed(folder):
    """Gives True to one process at a time, False to the others.

    The lock is the operating system's (`flock`): it is free again as soon as its process has ended,
    however it ended, and stays held while that process is merely slow or suspended. A file that is
    there as long as a run is claimed would need a clock to tell a dead owner from a slow one.
    Between machines it needs a shared folder that passes `flock` on: NFS and CIFS under Linux do,
    Lustre when it is mounted with `-o flock`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with contextlib.suppress(OSError):
        path.rmdir()  # An empty folder of that name; this fails for all else.
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
