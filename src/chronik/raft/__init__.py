"""Consensus. Today every group has one voter; the seams are those replication will use."""
