"""Taking over what another grid has finished: many share runs, such as the optimizer's alone."""

import json
import shutil

from experiments import claims, files, folders


def reuse(plan, outputs):
    """Copies into the plan's output the finished runs of others that compute the same.

    Returns:
        How many there were.
    """
    finished = {}
    for output in outputs:
        if not output.is_dir():
            raise ValueError(f"--reuse must be a folder with runs. Received: {output}")
        for path in sorted(output.glob("*/config.json")):
            try:
                config = folders.noted(path.parent)
                if folders.finished(path.parent, config):
                    finished[_key(config)] = path.parent
            except files.Damaged as error:
                files.say(str(error))
    copied = 0
    for run in plan.left():
        source = finished.get(_key({**plan.config(run), "versions": folders.versions()}))
        if source and _copy(source, plan, run):
            copied += 1
    return copied


def _copy(source, plan, run):
    folder = plan.folder(run)
    with claims.claimed(folder) as mine:
        if not mine or plan.result(run):
            return False
        shutil.rmtree(folder / "backup", ignore_errors=True)
        # The result last: with it the run is finished.
        for name in ("config.json", "history.csv", "model.keras", "result.json"):
            with files.whole(folder / name) as partial:
                shutil.copy(source / name, partial)
        return True


def _key(config):
    return json.dumps(config, sort_keys=True)
