"""What a broker costs and how long it keeps people waiting: start, memory, first record, end."""
