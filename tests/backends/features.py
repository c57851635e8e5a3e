"""What works on which backend: a table of what tests found, as Markdown.

    python -m tests.backends.features tensorflow.xml jax.xml pytorch.xml

Each file is what `pytest --junitxml` wrote of a run on the backend that the file is named after.
Exits with 1 where a test has failed.
"""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree

FEATURES = {
    "each rule and option, 20 steps, as on TensorFlow within 1e-5": "test_agreement",
    "`micro_batches`": "test_agreement::.*-micro_batches|micro_batches_are",
    "what cannot be cut into parts or averaged is refused": "test_parts",
    "`perturb_every`": "test_agreement::.*-perturb_every",
    "`perturb_from`": "test_agreement::.*-perturb_from",
    "`perturb_only`": "test_agreement::.*-perturb_only",
    "passes of each kind of step, counted": "test_passes",
    "Rules that change the second gradient, or read none at w, by their equations": "test_descents",
    "conformance vectors, the authors' trajectories": "test_conformance",
    "`rho=0` is plain Keras, compiled and eager": "test_without_radius",
    "what a class overrides of JAX's stateless methods": "test_stateless",
    "each method that plain Keras calls is called or refused": "test_methods_reached",
    "both passes see the same noise": "same_noise|noise_that_the_passes",
    "`keras.remat`, `keras.RematScope`": "test_remat",
    "hooks, `.grad` and frozen parameters": "test_backward",
    "nothing is left of the second pass": "of_the_clean_pass|leaves_everything",
    "an error or an interrupt leaves the model before the step": "test_kept|test_cuts",
    "state outside of Keras variables moves once a step": "test_outside_state",
    "`skip_nonfinite`, loss scaling": "test_nonfinite|not_finite|float16_overflows|test_skipped",
    "every optimizer; accumulation, EMA, loss scale, clipping, pairs": "test_optimizers",
    "a rule's steps are the optimizer's": "test_steps",
    "inputs of all dtypes, mixed precision": "test_inputs",
    "wrong arguments are refused in words": "test_fuzz|settings_are_checked",
    "names of classes, layers and folders decide nothing": "test_coincidences",
    "attributes and methods are those of the network": "test_attributes",
    "every kind of net, in each way to the same weights": "test_ways",
    "`sharpness_aware`, `plain`": "test_in_place",
    "rule and rho set by callbacks": "from_a_callback",
    "saved and resumed with the same bits, `Backup`": "same_bits|test_backup|test_resuming",
    "a backup goes on with its own program only": "test_edited_programs",
    "files of each backend go on": "test_files",
    "`steps_per_execution` above 1": "several_steps_at_once",
    "several devices": "test_devices|test_replicas",
    "several processes": "test_processes",
    "`flatness`": "test_exact|test_loss_is_what|derivative|nothing_of_the_model|measured_data",
    "`SharpnessMonitor`": "the_monitor",
    "`analysis.AscentFrom`": "test_ascent_",
}
"""By what a regular expression finds in the names of their tests."""


def outcomes(path):
    """Pairs of a test's name and what came of it: "passed", "failed", or why it was skipped."""
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        else:
            yield name, "passed" if skipped is None else _reason(skipped)


def _reason(skipped):
    """That of a test, or of a module."""
    whole = re.search("Skipped: (.*?)['\"]\\)", skipped.text or "")
    return whole[1] if whole else skipped.get("message")


def cell(pattern, found):
    """How many tests of a feature passed; which failed; or why there was none to run."""
    of_it = collections.Counter(said for name, said in found if re.search(pattern, name))
    if of_it["failed"]:
        return f"**{of_it['failed']} failed**"
    if of_it["passed"]:
        return f"{of_it['passed']} passed"
    return f"no: {next(iter(of_it))}" if of_it else "no test"


def table(paths):
    found = {path.stem: list(outcomes(path)) for path in paths}
    lines = ["| | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found)]
    for feature, pattern in FEATURES.items():
        cells = [cell(pattern, said) for said in found.values()]
        lines.append(f"| {feature} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    printed = table([pathlib.Path(name) for name in sys.argv[1:]])
    print(printed)
    sys.exit("failed" in printed)
