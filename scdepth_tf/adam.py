"""Adam, each weight updated by one kernel."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("scdepth_tf")
class Adam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` (without amsgrad) of TensorFlow's own kernel.

    The same numbers (Kingma and Ba, ICLR 2015) in one pass over each weight.
    Keras' takes a dozen operations for each, which is most of the graph of a
    training step and a third of the time to build it (docs/benchmarks.md).
    """

    def update_step(
        self,
        gradient: tf.Tensor,
        variable: tf.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        """Update one weight and its two moments."""
        step = tf.cast(self.iterations + 1, variable.dtype)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
