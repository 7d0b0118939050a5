/** What a layer asks to be made before the first step. */
export interface Parameter {
  name: string;
  shape: readonly number[];
  /** Inputs that one output adds up: the bound of the initial values is 1 / sqrt(fanIn). */
  fanIn: number;
}

/** Weight [kernel, kernel, in, out] and bias [out] of a convolution. */
export function convParameters(
  prefix: string,
  kernel: number,
  channelsIn: number,
  channelsOut: number,
): Parameter[] {
  const fanIn = kernel * kernel * channelsIn;
  return [
    { name: `${prefix}.weight`, shape: [kernel, kernel, channelsIn, channelsOut], fanIn },
    { name: `${prefix}.bias`, shape: [channelsOut], fanIn },
  ];
}
