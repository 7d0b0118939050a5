import { type Tensor, tf } from '../tf.ts';
import { reluGrad } from './ops.ts';

/**
 * Gradients that TensorFlow computes in one operation where tfjs composes several. Importing this file
 * replaces them for every model; results are the same.
 */

// tfjs multiplies by step(x): IsNan, Greater, Select, Fill and Cast for one ReluGrad.
tf.unregisterGradient('Relu');
tf.registerGradient({
  kernelName: 'Relu',
  outputsToSave: [true],
  gradFunc: (dy, saved) => ({ x: () => reluGrad(dy as Tensor, saved[0] as Tensor) }),
});
