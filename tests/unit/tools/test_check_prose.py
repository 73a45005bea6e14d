"""The check of the English: it finds its words, and counts riddles in docstrings and comments only."""

import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "check_prose.py"
NAMES = runpy.run_path(str(TOOL))
count, find_words = NAMES["count"], NAMES["find_words"]


def test_a_word_of_the_list_is_found_with_its_line() -> None:
    text = "A leader is elected.\nWhoever lost begins anew."
    assert [found.partition(" ->")[0] for found in find_words(text, "page.md")] == [
        "page.md:2: anew",
        "page.md:2: Whoever",
    ]


def test_longer_words_and_names_are_left_alone() -> None:
    assert list(find_words("the header of this renewal; epochs_begin_anew", "page.md")) == []


def test_docstrings_and_comments_are_counted_and_code_is_not() -> None:
    figures = count('"""What is told."""\nwhoever = "what is told"  # those who hear\n')
    assert figures["what is"] == 1
    assert figures["tell, say"] == 2
    assert figures["those who"] == 1
    assert figures["whoever"] == 0
    assert figures["bare start"] == 1
    assert figures["docstrings"] == 1


def test_code_and_documents_are_plain() -> None:
    command = [sys.executable, str(TOOL)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
