"""The Raft state machine of one group: messages and ticks in, `Ready` out.

Pure: no files, sockets, clock, coroutines or logging, and no randomness but what is passed in. It holds no
records either; of the log it knows positions and terms (`log_view.LogView`). A shell drives `core.RaftCore`,
whose docstring has the rules.
"""
