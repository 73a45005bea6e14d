"""The Kafka protocol without I/O: framing, headers, versions, message classes and their codecs."""
