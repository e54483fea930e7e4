"""Files of rows as columns of exact types: CSV, JSON and Parquet, read by pyarrow, with the place of each row."""
