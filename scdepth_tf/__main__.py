"""`python -m scdepth_tf` is the command `scdepth`."""

import sys

from scdepth_tf.cli import main

if __name__ == "__main__":
    sys.exit(main())
