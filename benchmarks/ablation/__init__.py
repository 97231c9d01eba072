"""Does each part of the method do what the paper claims, and what makes a
recipe better?

`paper.json` and `recipe.json` hold the variants as changes of `base.json`;
`__main__` trains and measures each with several seeds, `measure` measures one
run on exact ground truth (and on lidar it never saw), `table` makes the table
and the plot.
"""
