"""What each kind of user types is in the documentation, and the table is of these programs."""

import pathlib

import pytest

from benchmarks import first_minutes
from tests import markdown

pytestmark = pytest.mark.project
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "results" / "first_minutes" / "report.md"


@pytest.mark.parametrize("user", first_minutes.USERS)
def test_a_user_finds_what_to_install_and_a_program(user):
    backend, page, count = first_minutes.USERS[user]
    first, *more = first_minutes.installs(backend, page)
    assert first == f'pip install -e ".[{backend}]"'
    assert bool(more) == ("KerasHub" in user)
    text = first_minutes.program(page, count)
    compile(text, page, "exec")
    assert ".fit(" in text


def test_the_table_is_of_these_programs():
    text = PAGE.read_text(encoding="utf-8")
    assert first_minutes.HEAD in text
    [rows] = markdown.tables(text)
    assert [row["user"] for row in rows] == list(first_minutes.USERS)
    for row in rows:
        _, page, count = first_minutes.USERS[row["user"]]
        assert row["program of"] == page
        assert int(row["lines"]) == len(first_minutes.program(page, count).splitlines())
        assert float(row["minutes"]) < 10
