"""Runs a grid of trainings, such as a table of a paper, and reports on it.

    python examples/reproduce.py digits_controls
    python examples/reproduce.py digits_controls --ray local
    python examples/reproduce.py zsharp_table1 --dry-run

CONFIG is one of examples/configs, or a file like them. Every run has a folder in the output, with
`config.json`, `history.csv`, `model.keras` and `result.json`; a finished one is never repeated. The
same command goes on where an interrupted one was, in the middle of its run. One run at a time is
done, by a process of its own; Ray does as many as there are cores or GPUs. At last `report.md` and
`report.html` have the tables and pictures. They are computed from `results.csv` and `epochs.csv`
beside them, which is all that `--report-only` needs.
"""

import pathlib

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from experiments import engines, files, plan, programs, provenance, report, tables


def main(arguments=None):
    options = parse(arguments)
    with programs.stopping(options.output):
        reproduce(options)


def reproduce(options):
    todo = plan.Plan(plan.read(options.config), options.output, options.strategy, options.only)
    if not (options.report_only and tables.are_alone(todo.output)):
        print(todo.describe(), flush=True)
    if not (options.dry_run or options.report_only):
        if todo.refused():
            raise ValueError("CONFIG asks for what this version of keras_zsharp cannot do")
        with files.locked(options.output):
            do(todo, options)
    if not options.dry_run:
        print(f"Written: {report.write(todo)}", flush=True)


def do(todo, options):
    """All runs that are left, after a look at whether they can be done."""
    if options.reuse:
        taken = todo.reuse(options.reuse, options.reuse_from_other_versions)
        print(f"Taken over: {taken} runs")
    others = todo.of_other_versions()
    if others and not options.reuse_from_other_versions:
        raise ValueError(
            f"{options.output} has {len(others)} finished runs of other versions, such as "
            f"{others[0]}: count them with --reuse-from-other-versions, or give another --output"
        )
    engine, cpus = engines.here, options.cpus
    if options.ray:
        cpus = cpus or 1
        engine = engines.on_ray(options.ray, cpus, options.gpus)
    shared = {
        "data_dir": options.data_dir and pathlib.Path(options.data_dir).resolve(),
        "command": provenance.this_command(),
        "deterministic": options.deterministic,
        "cpus": cpus,
    }
    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task("", total=0)
        # What is left to do after a choice depends on the choice.
        while left := {run.name: run for run in todo.left()}:
            progress.update(bar, total=progress.tasks[bar].completed + len(left))
            jobs = {
                name: {"config": todo.config(run), "folder": todo.folder(run).resolve(), **shared}
                for name, run in left.items()
            }
            for name in engine(jobs):
                todo.look(left[name])
                result = todo.finished[name].result
                accuracy, seconds = 100 * result["test_accuracy"], result["duration"]
                progress.console.print(f"{name}: {accuracy:.2f} % in {seconds:.0f} s")
                progress.advance(bar)


def parse(arguments):
    parser = programs.parser_of_grid(__doc__)
    add = parser.add_argument
    add("--dry-run", action="store_true", help="say what there is to do, and stop")
    reuse_help = "take over what these outputs have of this grid's runs"
    add("--reuse", nargs="+", type=pathlib.Path, metavar="OUTPUT", help=reuse_help)
    add("--reuse-from-other-versions", action="store_true", help="count other commits' runs, too")
    add("--ray", metavar="ADDRESS", help="of a Ray cluster that does the runs; local: start one")
    add("--cpus", type=int, metavar="N", help="cores of a run; by default all, on Ray 1")
    add("--gpus", type=float, metavar="X", help="of a run on Ray; by default 1 where there are any")
    add("--strategy", choices=("none", "mirrored"), default="none")
    add("--deterministic", action="store_true", help="TensorFlow's deterministic ops")
    options = parser.parse_args(arguments)
    if options.dry_run and options.report_only:
        parser.error("--dry-run and --report-only exclude each other")
    if options.cpus is not None and options.cpus < 1:
        parser.error(f"argument --cpus: must be >= 1. Received: {options.cpus}")
    if options.gpus is not None and not options.gpus >= 0:
        parser.error(f"argument --gpus: must be >= 0. Received: {options.gpus}")
    options.output = programs.output_of(options)
    return options


if __name__ == "__main__":
    main()
