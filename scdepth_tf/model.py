"""SC-Depth as a Keras model: the whole method on one page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf

from scdepth_tf import presets, replicas, stack
from scdepth_tf.config import LossConfig, ModelConfig, TrainConfig
from scdepth_tf.files import check_room
from scdepth_tf.geometry import inverse_pose, pose_matrix
from scdepth_tf.geometry.addons import check_addons
from scdepth_tf.losses import (
    LossTerms,
    count_pixels,
    loss_terms,
    view_synthesis_error,
)
from scdepth_tf.nets import DepthNet, PoseNet
from scdepth_tf.nets.focal_length import FocalLengthScale

Batch = Mapping[str, tf.Tensor]


class Predictions(NamedTuple):
    """What the two networks say about a batch of snippets."""

    depths: tf.Tensor
    """[B, 1 + N, H, W, 1] scene units, the target first."""
    forward_poses: tf.Tensor
    """[B, N, 6] vectors of `sources_from_target`."""
    reverse_poses: tf.Tensor
    """[B, N, 6] vectors of `target_from_sources`; [B, 0, 6] where the SE(3)
    inverse stands in."""
    focal_scales: tf.Tensor
    """[B, 1] factors of fx and fy; [B, 0] where the intrinsics are taken as
    they come."""


@keras.saving.register_keras_serializable("scdepth_tf")
class SCDepth(stack.Model):
    """A depth and a pose network that teach each other from plain video.

    Bian et al., *Unsupervised Scale-consistent Depth Learning from Video*,
    IJCV 2021. `fit` it on batches with these keys (`scdepth_tf.data` makes
    them):

    - `frames` [B, 1 + N, H, W, 3] in [0, 1]: the target, then its N sources;
    - `jittered`, the same with colours changed: what the networks see;
    - `intrinsics` [B, 3, 3] in pixels;
    - `camera` [B], index of the camera, only where focal lengths are learnt.

    Calling the model is calling its depth network.

    Args:
        depth_net: images [B, H, W, 3] to depth [B, H, W, 1].
        pose_net: image pairs [B, H, W, 6] (target, source) to pose vectors
            [B, 6] of `source_from_target`.
        loss: the variant of the loss; `LossConfig.release()` by default.
        reverse_pose: `inverse` takes `target_from_source` as the SE(3)
            inverse of `source_from_target` and halves the work; `network`
            runs the pose network on the swapped pair, as both published
            codes do.
        jit_losses: compile projection, warp, losses and their gradient with
            XLA (the networks stay in the plain graph): 3–4 times faster on a
            CPU. None compiles wherever a process runs one replica, except
            for the sampler `addons`, which XLA cannot compile.
        learned_focal_lengths: number of cameras whose focal lengths are learnt
            (`FocalLengthScale`); 0 takes the intrinsics as they come.
    """

    def __init__(
        self,
        depth_net: keras.Model,
        pose_net: keras.Model,
        loss: LossConfig | None = None,
        reverse_pose: str = "inverse",
        jit_losses: bool | None = None,
        learned_focal_lengths: int = 0,
        **kwargs,
    ):
        # Images reach the networks in float32 under every policy.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if reverse_pose not in ("inverse", "network"):
            raise ValueError(
                "reverse_pose must be 'inverse' or 'network'. "
                f"Received: {reverse_pose!r}"
            )
        self.depth_net = depth_net
        self.pose_net = pose_net
        self.loss_config = loss or LossConfig.release()
        if self.loss_config.sampler == "addons" and jit_losses:
            raise ValueError(
                "jit_losses is True, but XLA cannot compile the sampler "
                '"addons"; leave jit_losses out'
            )
        self.reverse_pose = reverse_pose
        self.jit_losses = jit_losses
        self.learned_focal_lengths = learned_focal_lengths
        self.focal_length_scale = None
        if learned_focal_lengths:
            self.focal_length_scale = FocalLengthScale(learned_focal_lengths)
        self._means = {
            name: replicas.Mean(name=name)
            for name in (
                "loss",
                "photometric",
                "geometry",
                "smoothness",
                "valid",
                "auto_mask",
                "self_mask",
                "dropped",
                "depth_mean",
                "depth_spread",
                "translation",
                "rotation",
                "motion_spread",
                *(["focal_scale"] if learned_focal_lengths else []),
            )
        }
        self._skipped = replicas.Sum(name="skipped")
        self._bad_input = replicas.Sum(name="bad_input")
        self._view_synthesis = replicas.Mean(name="view_synthesis")
        self.built = True  # both networks are; Keras cannot know

    # === Made of choices, kept in folders ===

    @classmethod
    def from_choices(
        cls,
        config: ModelConfig,
        loss: LossConfig | None = None,
        learned_focal_lengths: int = 0,
    ) -> SCDepth:
        """Both networks, their encoders as `config` says; its `weights` are
        for `scdepth_tf.runs.build_model`.

        Raises:
            FileNotFoundError: weights of the encoders are not there.
            ValueError: they are for other encoders, or two things say what
                the encoders start from.
        """
        if config.weights and config != dataclasses.replace(
            config.without_weights(), weights=config.weights
        ):
            raise ValueError(
                "weights and encoder_weights both say what the encoders start "
                f"from: {config.weights!r}, {config.encoder_weights!r}; give "
                "one of them"
            )
        depth_weights = config.encoder_weights
        pose_weights = config.pose_encoder_weights or depth_weights
        if config.pose_encoder == "optical_flow":
            pose_weights = config.pose_encoder_weights or "none"
        return cls(
            DepthNet(
                config.depth_encoder,
                config.decoder,
                config.upsampling,
                encoder_weights=_or_none(depth_weights),
                alpha=config.alpha,
                beta=config.beta,
            ),
            PoseNet(
                config.pose_encoder, encoder_weights=_or_none(pose_weights)
            ),
            loss=loss,
            reverse_pose=config.reverse_pose,
            learned_focal_lengths=learned_focal_lengths,
        )

    def choices(self) -> ModelConfig:
        """The config from which `from_choices` builds equal networks.

        Raises:
            ValueError: a network is not a `DepthNet` or `PoseNet`.
        """
        depth, pose = self.depth_net, self.pose_net
        if not (isinstance(depth, DepthNet) and isinstance(pose, PoseNet)):
            raise ValueError(
                "only DepthNet and PoseNet can be described; the networks are "
                f"{type(depth).__name__} and {type(pose).__name__}"
            )
        return ModelConfig(
            depth_encoder=depth.encoder_name,
            decoder=depth.decoder_name,
            upsampling=depth.upsampling,
            alpha=depth.alpha,
            beta=depth.beta,
            pose_encoder=pose.encoder_name,
            reverse_pose=self.reverse_pose,
        )

    @classmethod
    def from_preset(cls, folder: str | Path) -> SCDepth:
        """The model of a preset: a folder of `save_to_preset`, of `scdepth
        import` or of `scdepth export RUN --format preset`, or the name of
        one that comes with the package ("streets_lite0").

        Raises:
            FileNotFoundError: there is no preset in the folder.
            ValueError: a file is damaged, or cannot be understood.
        """
        folder = presets.locate(folder)
        config = presets.open_preset(folder)
        model = cls.from_choices(config.model.without_weights(), config.loss)
        model.load_weights(folder / presets.WEIGHTS)
        return model

    def save_to_preset(
        self,
        folder: str | Path,
        *,
        image_size: tuple[int, int] | None = None,
        trained_on: str = "not recorded",
        training: TrainConfig | None = None,
        metrics: Mapping[str, float] | None = None,
        compact: bool = False,
    ) -> Path:
        """Write both networks, their description, a model card and the
        SHA-256 of each file to a folder that can be passed on.

        Args:
            folder: to make.
            image_size: height and width that evaluation and export take;
                that of `training`, or (256, 832), by default.
            trained_on: the data, for the card.
            training: the choices of the training, for the card and to train
                again.
            metrics: figures for the card, by their names.
            compact: round the weights, to two fifths of the size
                (`scdepth_tf.compact`); the card says so.

        Returns:
            The folder.

        Raises:
            ValueError: the folder exists or cannot be written, or a network
                is not a `DepthNet` or `PoseNet`.
        """
        config = training or TrainConfig()
        config = dataclasses.replace(
            config,
            model=self.choices(),
            loss=self.loss_config,
            data=dataclasses.replace(
                config.data, image_size=image_size or config.data.image_size
            ),
        )
        # Without the focal lengths: they belong to cameras, not to networks.
        networks = SCDepth(self.depth_net, self.pose_net)
        check_room(folder, 2 * 4 * networks.count_params())
        return presets.write_preset(
            folder,
            config,
            networks.save_weights,
            trained_on,
            metrics or {},
            is_training_known=training is not None,
            compact=compact,
        )

    # === The method ===

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Depth [B, H, W, 1] of images [B, H, W, 3] in [0, 1]."""
        return tf.cast(self.depth_net(images, training=training), tf.float32)

    def source_from_target(
        self, target: tf.Tensor, source: tf.Tensor
    ) -> tf.Tensor:
        """Pose [B, 4, 4] between images [B, H, W, 3] in [0, 1]."""
        pair = tf.concat([target, source], axis=-1)
        poses = self.pose_net(pair, training=False)
        return pose_matrix(tf.cast(poses, tf.float32))

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One optimizer step; returns the running means of this epoch.

        Under `tf.distribute` the replicas' batches are parts of one: losses
        and gradients are those that one device would have for all of it.
        """
        self._build_optimizer()
        # The tape sees only the networks. Projection, warp, losses *and* their
        # gradient are one XLA island; its gradients enter as output_gradients.
        with tf.GradientTape() as tape:
            predictions = self._predict(batch, training=True)
        share, pixel_counts = self._part_of_batch(batch, predictions)
        terms, gradients = self._in_one_jit(self._terms_and_gradients)(
            batch["frames"], batch["intrinsics"], predictions, pixel_counts
        )
        scale = stack.scale_loss(self.optimizer, share)
        gradients = tape.gradient(
            predictions,
            self.trainable_variables,
            output_gradients=tf.nest.map_structure(
                lambda gradient: gradient * scale, gradients
            ),
        )
        self._watch(terms, predictions, share)
        bad_input = self._count_bad_input(batch)
        skipped = self._apply_if_finite(gradients, bad_input)
        self._skipped.update_state(tf.cast(skipped, tf.float32))
        replicas.average(self._running_statistics())
        return self._logs()

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The same loss without a step, and `view_synthesis`, an error that
        can be compared between networks: no mask has a say in it.
        """
        predictions = self._predict(batch, training=False)
        share, pixel_counts = self._part_of_batch(batch, predictions)
        terms, view_synthesis = self._in_one_jit(self._terms_and_error)(
            batch["frames"], batch["intrinsics"], predictions, pixel_counts
        )
        self._watch(terms, predictions, share)
        good_input = ~self._count_bad_input(batch)
        view_synthesis = replicas.add_up(
            tf.where(good_input, share * view_synthesis, 0.0)
        )
        self._view_synthesis.update_state(
            view_synthesis, tf.cast(good_input, tf.float32)
        )
        return self._logs({"view_synthesis": self._view_synthesis.result()})

    def _predict(self, inputs: Batch, training: bool) -> Predictions:
        """One depth call on all frames, one pose call on all pairs.

        Both published codes call the networks frame by frame. Batched, the
        BatchNorm statistics are those of the whole snippet.
        """
        frames = inputs["jittered"]
        # The step is skipped, but running statistics would keep a NaN.
        frames = tf.where(tf.math.is_finite(frames), frames, 0.0)
        batch, count, height, width = (
            tf.shape(frames)[0],
            frames.shape[1],
            frames.shape[2],
            frames.shape[3],
        )
        depths = self.depth_net(
            tf.reshape(frames, [batch * count, height, width, 3]),
            training=training,
        )

        target, sources = frames[:, :1], frames[:, 1:]
        targets = tf.broadcast_to(target, tf.shape(sources))
        pairs = tf.concat([targets, sources], axis=-1)
        if self.reverse_pose == "network":
            swapped = tf.concat([sources, targets], axis=-1)
            pairs = tf.concat([pairs, swapped], axis=1)
        poses = self.pose_net(
            tf.reshape(pairs, [batch * pairs.shape[1], height, width, 6]),
            training=training,
        )
        # Geometry and losses are float32, whatever the networks compute in.
        depths, poses = tf.cast(depths, tf.float32), tf.cast(poses, tf.float32)
        poses = tf.reshape(poses, [batch, pairs.shape[1], 6])
        focal_scales = tf.zeros([batch, 0])
        if self.focal_length_scale is not None:
            focal_scales = self.focal_length_scale(inputs["camera"])
        return Predictions(
            depths=tf.reshape(depths, [batch, count, height, width, 1]),
            forward_poses=poses[:, : count - 1],
            reverse_poses=poses[:, count - 1 :],
            focal_scales=focal_scales,
        )

    def _views(
        self,
        frames: tf.Tensor,
        intrinsics: tf.Tensor,
        predictions: Predictions,
    ) -> dict[str, tf.Tensor | LossConfig]:
        """What `loss_terms` compares."""
        sources_from_target = _pose_matrices(predictions.forward_poses)
        if self.reverse_pose == "network":
            target_from_sources = _pose_matrices(predictions.reverse_poses)
        else:
            target_from_sources = inverse_pose(sources_from_target)
        if self.focal_length_scale is not None:
            intrinsics = _refocused(intrinsics, predictions.focal_scales)
        return {
            "target": frames[:, 0],
            "sources": frames[:, 1:],
            "target_depth": predictions.depths[:, 0],
            "source_depths": predictions.depths[:, 1:],
            "sources_from_target": sources_from_target,
            "target_from_sources": target_from_sources,
            "intrinsics": intrinsics,
            "config": self.loss_config,
        }

    def _loss_terms(
        self,
        frames: tf.Tensor,
        intrinsics: tf.Tensor,
        predictions: Predictions,
        pixel_counts: tf.Tensor | None,
    ) -> LossTerms:
        views = self._views(frames, intrinsics, predictions)
        return loss_terms(**views, pixel_counts=pixel_counts)

    def _terms_and_gradients(
        self,
        frames: tf.Tensor,
        intrinsics: tf.Tensor,
        predictions: Predictions,
        pixel_counts: tf.Tensor | None,
    ) -> tuple[LossTerms, Predictions]:
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            terms = self._loss_terms(
                frames, intrinsics, predictions, pixel_counts
            )
        gradients = tape.gradient(
            terms.total,
            predictions,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return terms, gradients

    def _terms_and_error(
        self,
        frames: tf.Tensor,
        intrinsics: tf.Tensor,
        predictions: Predictions,
        pixel_counts: tf.Tensor | None,
    ) -> tuple[LossTerms, tf.Tensor]:
        views = self._views(frames, intrinsics, predictions)
        terms = loss_terms(**views, pixel_counts=pixel_counts)
        del views["target_from_sources"]
        return terms, view_synthesis_error(**views)

    def _part_of_batch(
        self, batch: Batch, predictions: Predictions
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """This replica's share of the global batch, and what its masked means
        divide by: the same share of all replicas' pixels. Then means weighted
        by their shares add up to those of the global batch.

        Counting costs a second warp, so that nothing that waits for other
        replicas is inside of what XLA compiles.
        """
        if replicas.replica_count() == 1:
            return tf.constant(1.0), None
        share = replicas.share_of_batch(tf.shape(batch["frames"])[0])

        def count(frames, intrinsics, predictions):
            return count_pixels(**self._views(frames, intrinsics, predictions))

        counts = replicas.add_up(
            self._in_one_jit(count)(
                batch["frames"], batch["intrinsics"], predictions
            )
        )
        return share, tf.maximum(counts, 1.0) * share

    # === How it meets Keras ===

    def compile(self, *args, **kwargs) -> None:
        """As in Keras, but never XLA for the networks unless asked.

        Under XLA on a CPU convolutions are 2.5 times and depthwise
        convolutions 25 times slower.

        Raises:
            ImportError: the loss takes its sampler from tensorflow-addons,
                which is not installed; only training needs it.
        """
        if self.loss_config.sampler == "addons":
            check_addons()
        kwargs.setdefault("jit_compile", False)
        super().compile(*args, **kwargs)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Loss terms and monitors, reset by Keras every epoch."""
        return [*self._means.values(), self._skipped, self._bad_input]

    def reset_metrics(self) -> None:
        """The one of `test_step`, which is no metric of a training, too."""
        super().reset_metrics()
        self._view_synthesis.reset_state()

    def get_config(self) -> dict:
        """Both networks and every choice, for `.keras` files."""
        config = super().get_config()
        config.update(
            depth_net=keras.saving.serialize_keras_object(self.depth_net),
            pose_net=keras.saving.serialize_keras_object(self.pose_net),
            loss=dataclasses.asdict(self.loss_config),
            reverse_pose=self.reverse_pose,
            jit_losses=self.jit_losses,
            learned_focal_lengths=self.learned_focal_lengths,
        )
        return config

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> SCDepth:
        """The model of a `get_config`."""
        config = dict(config)
        for name in ("depth_net", "pose_net"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects
            )
        config["loss"] = LossConfig(**config["loss"])
        return cls(**config)

    def _build_optimizer(self) -> None:
        # Before the first step: what it traces would otherwise have a constant
        # loss scale, and no variables can be made within a replica.
        if self.optimizer is not None and not stack.is_built(self.optimizer):
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None) -> None:
        # Keras averages a batch over the replicas to learn its shape; that
        # fails on several workers, and where the batch is not even. All but
        # the optimizer is built.
        self._build_optimizer()

    def _in_one_jit(self, function):
        """Compile `function` with XLA unless switched off."""
        jit = self.jit_losses
        if jit is None:
            is_compilable = self.loss_config.sampler != "addons"
            jit = is_compilable and replicas.is_alone_in_process()
        if not jit:
            return function
        # Nothing in it branches on tensors; converting it takes seconds.
        return tf.function(function, jit_compile=True, autograph=False)

    def _apply_if_finite(
        self, gradients: list[tf.Tensor], bad_input: tf.Tensor
    ) -> tf.Tensor:
        """Update the weights unless a gradient, on any replica, is NaN or
        infinite, or the input was; returns whether nothing was done.
        """
        # One pass over each; the squares of 1e19 overflow, which is as bad.
        squares = tf.add_n([tf.nn.l2_loss(gradient) for gradient in gradients])
        overflow = _on_any_replica(~tf.math.is_finite(squares))
        skip = overflow | bad_input
        optimizer = self.optimizer
        if isinstance(optimizer, stack.LossScaleOptimizer):
            scale, _ = stack.loss_scale_variables(optimizer)
            gradients = [gradient / scale for gradient in gradients]
            # What NaN input spoils would have overflown at any scale.
            _adapt_loss_scale(optimizer, overflow & ~bad_input, skip)
            optimizer = optimizer.inner_optimizer
        replicas.apply_if(~skip, optimizer, gradients, self.trainable_variables)
        return skip

    def _count_bad_input(self, batch: Batch) -> tf.Tensor:
        """Whether the global batch holds NaN or infinity."""
        bad_input = _on_any_replica(~_is_finite(batch))
        self._bad_input.update_state(tf.cast(bad_input, tf.float32))
        return bad_input

    def _running_statistics(self) -> list[keras.Variable]:
        """Those of BatchNorm."""
        return [
            variable
            for variable in self.non_trainable_variables
            if stack.path(variable).endswith(("moving_mean", "moving_variance"))
        ]

    def _logs(
        self, more: Mapping[str, tf.Tensor] | None = None
    ) -> dict[str, tf.Tensor]:
        """Running means of this epoch."""
        logs = {**self.get_metrics_result(), **(more or {})}
        if _is_multi_worker():
            # Keras averages them along the first axis (tensorflow#72388).
            logs = {name: tf.reshape(v, [1]) for name, v in logs.items()}
        return logs

    def _watch(
        self, terms: LossTerms, predictions: Predictions, share: tf.Tensor
    ) -> None:
        depth_mean = tf.reduce_mean(predictions.depths)
        depth_deviations = tf.math.reduce_std(predictions.depths, axis=[2, 3])
        depth_means = tf.reduce_mean(predictions.depths, axis=[2, 3])
        poses = predictions.forward_poses
        values = {
            "loss": terms.total,
            "photometric": terms.photometric,
            "geometry": terms.geometry,
            "smoothness": terms.smoothness,
            "valid": terms.valid_fraction,
            "auto_mask": terms.auto_mask_fraction,
            "self_mask": terms.self_mask_mean,
            "dropped": terms.dropped_fraction,
            "depth_mean": depth_mean,
            "depth_spread": tf.reduce_mean(depth_deviations / depth_means),
            "translation": tf.reduce_mean(tf.norm(poses[..., :3], axis=-1)),
            "rotation": tf.reduce_mean(tf.norm(poses[..., 3:], axis=-1)),
            "motion_spread": _motion_spread(poses, depth_mean),
        }
        if self.focal_length_scale is not None:
            values["focal_scale"] = tf.reduce_mean(predictions.focal_scales)
        value = replicas.add_up(tf.stack(list(values.values())) * share)
        # One bad step must not turn the whole epoch's mean into NaN.
        finite = tf.math.is_finite(value)
        value = tf.where(finite, value, 0.0)
        for i, name in enumerate(values):
            self._means[name].update_state(
                value[i], tf.cast(finite[i], tf.float32)
            )


def _on_any_replica(flag: tf.Tensor) -> tf.Tensor:
    return replicas.add_up(tf.cast(flag, tf.float32)) > 0.0


def _is_multi_worker() -> bool:
    strategy = tf.distribute.get_strategy()
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _adapt_loss_scale(
    optimizer: stack.LossScaleOptimizer,
    overflow: tf.Tensor,
    skip: tf.Tensor,
) -> None:
    """Halve the scale at an overflow, double it after many steps without.

    As the optimizer does by itself, but for all replicas alike: each of its
    copies looks at the gradients of one.
    """
    loss_scale, counter = stack.loss_scale_variables(optimizer)
    scale = tf.convert_to_tensor(loss_scale)
    steps = tf.convert_to_tensor(counter)
    steps += tf.cast(~skip, steps.dtype)
    grow = steps >= optimizer.dynamic_growth_steps
    factor = tf.where(overflow, 0.5, tf.where(grow, 2.0, 1.0))
    loss_scale.assign(scale * factor)
    counter.assign(tf.where(overflow | grow, tf.zeros_like(steps), steps))


def _or_none(weights: str) -> str | None:
    return None if weights == "none" else weights


def _is_finite(batch: Batch) -> tf.Tensor:
    """Whether a batch holds neither NaN nor infinity."""
    names = ("frames", "jittered", "intrinsics")
    return tf.reduce_all(
        [tf.reduce_all(tf.math.is_finite(batch[name])) for name in names]
    )


def _motion_spread(poses: tf.Tensor, depth_mean: tf.Tensor) -> tf.Tensor:
    """How much poses [B, N, 6] differ from each other, in radians and mean
    depths; the earlier and the later neighbour differ where anything moves.
    A single pose, that of one pair, is compared with standing still.
    """
    poses = tf.reshape(poses, [-1, 6])
    motions = tf.concat([poses[:, :3] / depth_mean, poses[:, 3:]], axis=1)
    centre = tf.reduce_mean(motions, axis=0)
    centre = tf.where(tf.shape(motions)[0] > 1, centre, 0.0)
    squares = tf.reduce_mean((motions - centre) ** 2, axis=0)
    return tf.sqrt(tf.reduce_sum(squares))


def _refocused(intrinsics: tf.Tensor, scales: tf.Tensor) -> tf.Tensor:
    """Intrinsics [B, 3, 3] with fx, fy and skew times the scales [B, 1].

    The principal point stays: what changes is the left 2×2 block.
    """
    focal = intrinsics[:, :2, :2] * scales[..., None]
    top = tf.concat([focal, intrinsics[:, :2, 2:]], axis=2)
    return tf.concat([top, intrinsics[:, 2:]], axis=1)


def _pose_matrices(poses: tf.Tensor) -> tf.Tensor:
    """[B, N, 6] to [B, N, 4, 4]."""
    matrices = pose_matrix(tf.reshape(poses, [-1, 6]))
    return tf.reshape(matrices, [-1, poses.shape[1], 4, 4])
