"""The coordinator runtime: state machines that live in an internal topic, one for each partition this node
leads.

A shard (`shard.py`) is pure: a command, a change of the metadata or the time comes in; records and answers
come out. The runtime does the rest, the same for each kind of shard:

    service -> runtime -> host -> shard         commands, changes of the metadata, time
                          host -> loading -> log                  load by replay
                          host -> log                             append, commit, then answer

`registry.py` has the runtimes of a node by topic, for the callers that follow leadership and metadata.
Several kinds of shards share a topic by a `combined.CombinedShard`.

Not here: the decisions of a shard, the partition of a command, and leadership.
"""
