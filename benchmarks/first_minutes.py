"""Minutes to the first success of four kinds of user, each in an empty environment.

    python benchmarks/first_minutes.py

prints the table of `docs/results/first_minutes/report.md`. Each user makes an environment, installs
by the README's line for a backend, and starts a program from the documentation as it stands. Needs
Linux or macOS. Takes some minutes for each, most of them for what pip downloads.
"""

import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import machine

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
USERS = {
    "JAX, with own arrays": ("jax", "docs/guides/backends.md", 1),
    "KerasHub, with LoRA": ("tensorflow", "docs/guides/keras-hub.md", 1),
    "A rule of one's own": ("tensorflow", "docs/guides/own-rule.md", 3),
    "PyTorch": ("torch", "README.md", 1),
}
"""The backend of each, and the page whose first programs are run, so many, as one."""
HEAD = "| user | program of | lines | install (s) | run (s) | minutes | minutes of a core |"
HEAD += "\n| --- | --- | ---: | ---: | ---: | ---: | ---: |"


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="users that begin so, such as JAX")
    return parser.parse_args(arguments)


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def program(page, count):
    """The first programs of a page, one after the other."""
    return "\n".join(BLOCK.findall(read(page))[:count])


def installs(backend, page):
    """What the README has a user of the backend install, and what the page has besides."""
    [line] = re.findall(
        rf"^\|.*\| `(pip install .*\[{backend}\].*?) && export", read("README.md"), re.MULTILINE
    )
    return [line, *re.findall(r"`\.venv/bin/(pip install .*?)`", read(page))]


def took(commands, **how):
    """Seconds of some commands: by the clock, and of a core."""
    start, before = time.monotonic(), os.times()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **how)
    after = os.times()
    of_core = sum(after[2:4]) - sum(before[2:4])  # those of children
    return time.monotonic() - start, of_core


def row(user, folder):
    """What a user waits for: the environment with its packages, and the program."""
    backend, page, count = USERS[user]
    text, python = program(page, count), folder / ".venv" / "bin" / "python"
    (folder / "program.py").write_text(text, encoding="utf-8")
    pips = [[python, "-m", *shlex.split(line)] for line in installs(backend, page)]
    install = took([[sys.executable, "-m", "venv", folder / ".venv"], *pips], cwd=ROOT)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    run = took([[python, "program.py"]], cwd=folder, env=environment)
    minutes, of_core = ((a + b) / 60 for a, b in zip(install, run, strict=True))
    cells = [user, page, f"{len(text.splitlines())}", f"{install[0]:.0f}", f"{run[0]:.0f}"]
    return f"| {' | '.join([*cells, f'{minutes:.1f}', f'{of_core:.1f}'])} |"


def main(arguments=None):
    args = parse(arguments)
    print(f"{machine.describe()}\n\n{HEAD}", flush=True)
    for user in USERS:
        if user.startswith(args.only):
            with tempfile.TemporaryDirectory() as folder:
                print(row(user, pathlib.Path(folder)), flush=True)


if __name__ == "__main__":
    main()
