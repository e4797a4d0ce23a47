"""Words of others stay words."""

import pytest
from markdown_it import MarkdownIt

from negotiation.markdown_text import as_items, as_number, as_table, as_text

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.mark.parametrize(
    "words",
    ["__bold__ _it_ a_b", "- item", "+ item", "1. x", "10) x", "---", "===", "- - -", "# h", "> q", "``` py", "~~s~~",
     "| a | b |", "[l](http://x)", "![i](y)", "<b>x</b>", "&lt;", "*a* **b**", "\\*", "-5 points"],
)  # fmt: skip
def test_nothing_is_markup(words):
    shown = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert READER.render(f"before\n\n{as_text(words)}") == f"<p>before</p>\n<p>{shown}</p>\n"


def test_a_terminal_is_not_steered():
    assert as_text("a\x1b[2J\x07b\u202ec\nd") == "a\ufffd\\[2J\ufffdb\ufffdc d"


def test_tables_and_lists_hold_their_rows():
    assert as_table(("A", "B"), [("x|y", "-")]) == "| A | B |\n| --- | --- |\n| x\\|y | - |"
    assert as_table(("A",), []) == as_items("T", []) == ""
    assert as_items("T", ["- x"], level=4) == "#### T\n\n- \\- x"
    assert (as_number(0.123456), as_number(None)) == ("0.1235", "-")
