"""Settings with their documentation."""

import textwrap
from collections.abc import Sequence

from chronik.cli.output import console, shown
from chronik.client.configs import Setting

_WIDTH_MAX = 100
_INDENT = "    "


def print_settings(settings: Sequence[Setting]) -> None:
    """A paragraph for each."""
    screen = console()
    width = min(screen.width, _WIDTH_MAX)
    for setting in settings:
        value = "(hidden)" if setting.is_sensitive else shown(setting.value)
        fixed = ", cannot be changed while the broker runs" if setting.is_read_only else ""
        screen.print(f"{setting.name} = {value}", markup=False, highlight=False, style="bold", soft_wrap=True)
        about = f"({setting.type}, set by {setting.source}{fixed}) {setting.documentation}"
        text = textwrap.fill(about, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
        screen.print(text, markup=False, highlight=False, soft_wrap=True)
