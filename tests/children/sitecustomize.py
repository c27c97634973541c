"""Processes that the tests start collect garbage seldom; Python runs this file at their start.

They import Prefect, DVC or torch, work for some seconds and end: a tenth of their time went into searches through
objects that all stay. It stands in for a file of this name that the system's Python may have.
"""

import gc

gc.set_threshold(20_000, 20, 50)
