"""The README's programs run, and its commands are the ones that CI runs."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_usage_example_and_mixin(tmp_path, monkeypatch):
    usage, mixin, _ = PROGRAMS
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(usage.replace("epochs=20", "epochs=1, verbose=0"), scope)
    assert (tmp_path / "net.keras").exists()
    assert "sharpness" in scope["model"].history.history
    exec(mixin, scope)
    assert scope["Net"]().perturbation.get_config()["rho"] == 0.05


def test_ci_runs_the_test_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [pattern] = re.findall(r"grep -m1 -- '(.*?)\$' README", script)
    [command] = [line for line in README.splitlines() if line.endswith(pattern)]
    assert '-e ".[test]"' in command
