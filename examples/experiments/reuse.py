"""Taking over what another grid has finished: many share runs, such as the optimizer's alone."""

import json
import shutil

from experiments import claims, runs


def reuse(plan, outputs):
    """Copies into the plan's output the finished runs of others that compute the same.

    Returns:
        How many there were.
    """
    finished = {}
    for output in outputs:
        if not output.is_dir():
            raise ValueError(f"--reuse must be a folder with runs. Received: {output}")
        for result in sorted(output.glob("*/result.json")):
            config = json.loads((result.parent / "config.json").read_text())
            finished[_key(config)] = result.parent
    copied = 0
    for run in plan.left():
        source = finished.get(_key({**plan.config(run), "versions": runs.versions()}))
        if source and _copy(source, plan.folder(run)):
            copied += 1
    return copied


def _copy(source, folder):
    with claims.claimed(folder) as mine:
        if not mine or (folder / "result.json").exists():
            return False
        shutil.rmtree(folder / "backup", ignore_errors=True)
        for name in ("config.json", "history.csv", "model.keras"):
            shutil.copy(source / name, folder)
        runs.write(folder / "result.json", json.loads((source / "result.json").read_text()))
        return True


def _key(config):
    return json.dumps(config, sort_keys=True)
