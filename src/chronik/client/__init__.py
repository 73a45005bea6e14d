"""A small blocking Kafka client for the command line and for tests: one request at a time, in bounded time.

Works with any broker that speaks Kafka's protocol. `client.Client` finds nodes, leaders and coordinators; the
other modules are functions over it (`topics.create(client, ...)`), which return plain values.
"""
