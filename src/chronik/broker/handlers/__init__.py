"""One module per API, imported on the first request for it. Each has `handle` and `on_error`."""
