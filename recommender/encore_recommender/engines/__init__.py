"""Counting co-purchases past memory and past one machine: DuckDB on one file, Spark on many machines.

The counts are those of `counting`, to the last unit, because every engine runs the same text (`sql`) over the same
whole numbers. Training only.
"""
