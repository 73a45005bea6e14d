"""`chronik version`."""

from chronik.cli.guard import guarded
from chronik.cli.options import Json


@guarded
def version(json: Json = False) -> None:
    """Show which Chronik and Python this is."""
    import platform

    from chronik import __version__
    from chronik.cli.output import print_json

    if json:
        print_json(
            {"chronik": __version__, "python": platform.python_version(), "system": platform.platform()}
        )
        return
    print(f"chronik {__version__} (Python {platform.python_version()}, {platform.platform()})")
