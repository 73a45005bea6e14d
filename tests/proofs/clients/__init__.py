"""Foreign clients against one broker: what they write and what they read, compared record by record."""
