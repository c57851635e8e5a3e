"""The studies' command lines. Nothing slow is imported here: `--help` answers at once."""

import argparse
import pathlib


def of_study(docstring, arguments=None):
    """Those of `recipes.main`: the results of all settings, or of some, and how runs are done."""
    parser = of(docstring)
    add = parser.add_argument
    add("--data-dir", help="folder of the data")
    add("--processes", type=int, default=0, help="runs at a time")
    add("--ray", help="address of a Ray cluster, or local")
    return parser.parse_args(arguments)


def of_data(docstring, arguments=None):
    """Those of a study that reads its data from a folder, and whose number of seeds is free."""
    parser = of(docstring, "data")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args(arguments)


def of(docstring, *first):
    """A parser with what all studies have, after the folders `first`."""
    parser = argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    for name in first:
        add(name, type=pathlib.Path, help=f"folder of the {name}")
    add("results", type=pathlib.Path, help="folder for the tables, such as docs/results")
    add("--only", default="", help="settings that begin so: their names are the tables' folders")
    add("--runs", type=pathlib.Path, default=pathlib.Path("runs"), help="folder of the runs")
    return parser
