"""One module per command. They import typer alone; what a command needs is imported when it runs."""
