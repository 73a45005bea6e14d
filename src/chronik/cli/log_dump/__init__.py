"""The reader of `chronik log dump`: a partition's files as rows, offline and without changing anything.

Works on Kafka's own files too, because they are the same.
"""

from chronik.cli.log_dump.dump import Dump, Row, dump_file, dump_path, partition_directories

__all__ = ["Dump", "Row", "dump_file", "dump_path", "partition_directories"]
