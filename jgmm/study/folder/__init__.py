"""A study's folder on the disk, from the bytes up: nothing here knows what a study is.

files       every file is written whole or not at all, and no link is followed
seal        the SHA-256 digest that each file carries
lock        one writer a folder
columns     the schema of the tables
store       the Parquet files of runs: which can be trusted, which runs are missing, joining them
records     what is written beside the results: looks, back ends, names of figures
spool       arrays that may be larger than the memory, in a file without a name
"""
