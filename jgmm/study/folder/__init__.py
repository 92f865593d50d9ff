"""A study's folder on the disk, from the bytes up: nothing here knows what a study is.

`files` writes every file whole or not at all, `seal` gives each a digest, `parquet` writes tables and `columns` holds
their schema. `store` tells which runs of which cells are there and joins them, `records` keeps what is written beside
the results, `lock` admits one writer, and `spool` holds arrays that are larger than memory.
"""
