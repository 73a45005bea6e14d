"""Configuration as data: the settings, the meaning of their values, and the precedence of their sources.

Pure: names, types, defaults, checks and documentation of every setting (`tables`), parsing and printing
(`values`), the order of sources (`broker`), and the typed view that hot paths read (`topic`).
`chronik.server.settings` reads files, variables and flags; the metadata log keeps dynamic changes.
"""
