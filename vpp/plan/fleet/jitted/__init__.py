"""The kernels compiled by numba: the optional twin of the numpy ones, with the same blocks in and the same answers out.

This package alone imports numba, and nothing imports this package where it was not asked for. What is
compiled goes to the folder that the environment names by NUMBA_CACHE_DIR when this is first imported.
"""
