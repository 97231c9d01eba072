"""Painted tiles: asphalt, house fronts, leaves, the sides of cars.

Every painter returns `[height, width, 4]` float32 in [0, 1], sizes powers of
two: RGB as displayed (the square root of linear), A the weight of the
surface's own tint.
"""
