"""Apache Kafka's own tools and Java clients against Chronik, compared with what they say of Apache Kafka."""
