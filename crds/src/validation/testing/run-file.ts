import { parseDocument } from 'yaml';
import { type LocatedValidationError, parseRun, RunFileError } from '../parse.ts';

/** Helpers for tests of run files. */

/** Run file with only the required fields. */
export const MINIMAL = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata:
  name: small
spec:
  data:
    format: digits
  augmentation:
    crop: 28
  patches:
    size: 4
    stride: 4
  modules:
    - name: first
      layers:
        - type: conv
          channels: 8
    - name: second
      layers:
        - type: residual
          channels: 16
          stride: 2
  objective:
    type: infoNCE
  training:
    samples: 640
`;

/** Returns the validation errors that `parseRun` throws. */
export function errorsIn(text: string): readonly LocatedValidationError[] {
  try {
    parseRun(text, 'run.yaml');
  } catch (error) {
    if (error instanceof RunFileError) return error.errors;
    throw error;
  }
  return [];
}

/** Returns MINIMAL with the value at each `path` replaced, or removed if it is undefined. */
export function changed(...changes: [path: string, value: unknown][]): string {
  const document = parseDocument(MINIMAL, { version: '1.1' });
  for (const [path, value] of changes) {
    const keys = path.split('.').map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    if (value === undefined) document.deleteIn(keys);
    else document.setIn(keys, document.createNode(value));
  }
  return document.toString();
}
