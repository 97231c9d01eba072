"""Does each part of the method do what the paper claims?

`variants.json` holds the variants as changes of `base.json`; `__main__` trains
and measures each with several seeds, `measure` measures one run on exact ground
truth, `table` makes the table and the plot.
"""
