"""Apache Kafka itself, to record from: from Maven Central, started on loopback. Needs Java 17 and Maven."""
