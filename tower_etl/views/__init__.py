"""SQL views of the folder `sql/`: definitions, comments and dialects."""
