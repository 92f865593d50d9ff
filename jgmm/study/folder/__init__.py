"""A study's folder on the disk. These modules do not know what a study is.

files      writes every file whole or not at all        seal       gives files a digest
parquet    reads and writes tables                      columns    the tables' schemas
store      lists the stored runs of cells, joins them   records    looks, back ends and figures
lock       admits one writer                            spool      arrays larger than memory
"""
