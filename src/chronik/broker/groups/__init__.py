"""The group coordinator: consumer groups of the classic protocol, and the offsets they commit.

Two halves. The pure half is one `Shard` per partition of `__consumer_offsets`: a command and the time go in,
records to write and answers come out; it knows no loop, clock, log or network. The async half is
`GroupService`: it finds the partition of a group, runs commands on the shard of that partition, appends the
records, and answers after the commit.

    handlers -> service -> coordinator runtime -> shard
                shard   -> join, sync, leave, rebalance, offset_commands, admin, expiry
                        -> group, member, offsets -> record_format

Not here: the content of a subscription or an assignment (but for the topics of a consumer's subscription),
the consumer protocol of KIP-848, and transactions.
"""
