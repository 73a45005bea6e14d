"""One module per API, imported on the first request for it. Each has `NEEDS`, `handle` and `on_error`."""
