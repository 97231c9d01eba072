import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf.data.records import PackedFile, read_examples


@pytest.fixture
def shard(tmp_path):
    """Two examples with all kinds of features."""
    path = tmp_path / "shard.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in (3, 200_000):
            feature = {
                "images": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[b"", b"x" * size])
                ),
                "numbers": tf.train.Feature(
                    int64_list=tf.train.Int64List(
                        value=[0, -1, 127, 128, 2**62, -(2**63)]
                    )
                ),
                "floats": tf.train.Feature(
                    float_list=tf.train.FloatList(value=[1.5, 2.5])
                ),
                "nothing": tf.train.Feature(),
                "née": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[b"last"])
                ),
            }
            example = tf.train.Example(
                features=tf.train.Features(feature=feature)
            )
            writer.write(example.SerializeToString())
    return path


def test_walk_finds_what_protobuf_finds(shard):
    records = tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()
    for found, record in zip(read_examples(shard), records, strict=True):
        features = tf.train.Example.FromString(record).features.feature
        assert found.keys() == features.keys()
        assert found["numbers"] == list(features["numbers"].int64_list.value)
        assert found["nothing"] == []
        for name in ("images", "née"):
            assert [
                PackedFile(shard, span, name).read_bytes()
                for span in found[name]
            ] == list(features[name].bytes_list.value)


def test_packed_file_is_read_like_a_path(shard):
    (example, _) = read_examples(shard)
    packed = PackedFile(shard, example["née"][0], "street/0000000007")
    assert packed.open("rb").read() == b"last"
    assert packed.stem == "0000000007"
    assert str(packed) == f"street/0000000007 in {shard}"
    with pytest.raises(ValueError, match="mode is 'wb'"):
        packed.open("wb")


@pytest.mark.parametrize("kept", [5, 100, 150_000])
def test_truncated_shard_is_named(kept, shard):
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"shard\.tfrecord: not a whole TFRec"):
        list(read_examples(shard))


def test_file_of_something_else_is_named(tmp_path, rng):
    path = tmp_path / "noise.tfrecord"
    path.write_bytes(rng.integers(0, 256, 4000, dtype=np.uint8).tobytes())
    with pytest.raises(ValueError, match="not a whole TFRecord"):
        list(read_examples(path))


def test_empty_shard_holds_nothing(tmp_path):
    (tmp_path / "empty").touch()
    assert list(read_examples(tmp_path / "empty")) == []
