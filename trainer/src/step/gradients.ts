import { type Tensor, tf } from '../tf.ts';
import { reluGrad } from './ops.ts';

/** Replaces gradients that TensorFlow computes in one op and tfjs composes of several. Importing this file is enough; results are equal. */

// tfjs multiplies by step(x): IsNan, Greater, Select, Fill and Cast for one ReluGrad.
tf.unregisterGradient('Relu');
tf.registerGradient({
  kernelName: 'Relu',
  outputsToSave: [true],
  gradFunc: (dy, saved) => ({ x: () => reluGrad(dy as Tensor, saved[0] as Tensor) }),
});
