"""Conversations with a broker, one module for each area. How to write one is in ../README.md."""
