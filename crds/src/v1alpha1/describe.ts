/** Returns the description of an enumeration: a sentence, then a line for each value. */
export const describeValues = (sentence: string, values: Record<string, string>): string =>
  [
    `${sentence} Possible values:`,
    ...Object.entries(values).map(([value, meaning]) => `- ${value}: ${meaning}`),
  ].join('\n');
