"""What clients are answered that may do nothing, or only some things: recorded from Apache Kafka with its
authorizer.
"""
