"""The test case that TFDS has for builders, on synthesized data."""

import tempfile
from pathlib import Path

import tensorflow_datasets as tfds

import tfds_kitti
from tests.tfds_kitti import dummies


class _Synthesized(tfds.testing.DatasetBuilderTestCase):
    """Writes the dummy data that TFDS expects in a folder."""

    __test__ = False
    SKIP_CHECKSUMS = True  # nothing is downloaded

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.EXAMPLE_DIR = cls.write(Path(cls._folder.name))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls._folder.cleanup()


class KittiRawTest(_Synthesized):
    __test__ = True
    DATASET_CLASS = tfds_kitti.KittiRaw
    BUILDER_CONFIG_NAMES_TO_TEST = ("full", "128x416")
    SPLITS = {"train": 4, "val": 2, "test": 1}  # noqa: RUF012
    write = staticmethod(dummies.write_raw)


class KittiOdometryTest(_Synthesized):
    __test__ = True
    DATASET_CLASS = tfds_kitti.KittiOdometry
    BUILDER_CONFIG_NAMES_TO_TEST = ("color-full", "gray-128x416")
    SPLITS = {"train": 2, "test": 2, "benchmark": 2}  # noqa: RUF012
    write = staticmethod(dummies.write_odometry)


class VideoSequencesTest(_Synthesized):
    __test__ = True
    DATASET_CLASS = tfds_kitti.VideoSequences
    BUILDER_CONFIG_NAMES_TO_TEST = ("full", "128x416")
    SPLITS = {"train": 4, "val": 2}  # noqa: RUF012
    write = staticmethod(dummies.write_scenes)
