"""Is our training as good as the published one in PyTorch, and ours better?

`variants.json` says who trains with which recipe, `published.json` is the
published recipe at the size and budget of the ablation. `__main__` trains and
measures; `our_side` makes what all start from, hands samples over to PyTorch,
trains ours and takes PyTorch's weights back; `torch_training` is the published
training, which needs torch and NumPy only.
"""
