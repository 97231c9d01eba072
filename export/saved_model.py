"""SavedModel of a run or preset.

    python saved_model.py RUN --out models/depth/1

The same as `scdepth export … --format savedmodel`, and all of its options.
"""

import sys

from scdepth_tf.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:], "--format", "savedmodel"]))
