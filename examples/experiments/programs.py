"""What the programs of the folder above share: arguments, and how they stop."""

import argparse
import contextlib
import pathlib
import signal
import sys


def parser(docstring):
    """An `ArgumentParser` whose help begins with a module's docstring."""
    return argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def parser_of_grid(docstring):
    """The same with the arguments of all programs on a grid and its output."""
    made = parser(docstring)
    add = made.add_argument
    add("config", metavar="CONFIG", help="name in examples/configs, or path of a file")
    add("--output", type=pathlib.Path, help="folder of the runs; by default runs/CONFIG")
    add("--only", default="", metavar="TEXT", help="only runs whose name contains this")
    add("--report-only", action="store_true", help="report on the runs, or the CSVs, there are")
    add("--data-dir", help="folder of tensorflow-datasets, or of the files")
    return made


def output_of(options):
    """The folder that is given, or the default one."""
    return options.output or pathlib.Path("runs") / pathlib.Path(options.config).stem


@contextlib.contextmanager
def stopping(output):
    """Ends the program with a sentence where its block is interrupted, by SIGTERM too, or fails."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted; the same command goes on from {output}")
    except OSError as error:
        sys.exit(f"{error}; with that mended, the same command goes on")
    except (ImportError, RuntimeError, ValueError) as error:
        sys.exit(str(error))
    finally:
        signal.signal(signal.SIGTERM, before)
