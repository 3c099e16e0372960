"""Logical lines: what continues belongs to its statement, what comments says nothing."""

import pytest

from mtc_hw.spice_lines import logical_lines

TEXT = """* a title
.model nch nmos ; a comment
* between
+ level=54 $ another

R1 a b 1k
"""


def test_continuations_are_joined_and_comments_dropped():
    assert list(logical_lines(TEXT)) == [(2, ".model nch nmos  level=54"), (6, "R1 a b 1k")]


def test_a_deck_s_title_is_no_statement():
    title = TEXT.replace("* a title", "R0 a b 1")
    assert next(logical_lines(title)) == (1, "R0 a b 1")
    assert next(logical_lines(title, 2)) == (2, ".model nch nmos  level=54")


@pytest.mark.parametrize("node", ["a$b", "x1.$y"])
def test_a_dollar_within_a_word_is_no_comment(node):
    assert list(logical_lines(f"R1 {node} 0 1")) == [(1, f"R1 {node} 0 1")]
