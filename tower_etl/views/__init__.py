"""The SQL views of `sql/`: definitions, comments, dialects."""
