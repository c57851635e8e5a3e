"""The process in which the benchmark of the step takes its steps."""

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("method", ["AdamW", "ZSharp"])
def test_worker_takes_steps(step_time, method):
    with step_time.Row("keras3", "resnet20", method, "graph", 2) as row:
        row.step()
        row.step()
    assert len(row.result["seconds"]) == len(row.result["peaks"]) == 2
    assert row.result["weights"] == 4 * 269_722
    assert 0 < min(row.result["seconds"]) < row.result["first"]


@pytest.mark.slow
def test_worker_takes_steps_of_keras_2(step_time):
    pytest.importorskip("tf_keras")
    with step_time.Row("keras2", "resnet20", "SAM", "graph", 2) as row:
        row.step()
    assert row.result["weights"] == 4 * 269_722
