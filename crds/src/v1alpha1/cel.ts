/** Rules that the API server checks itself, for the `meta` of a schema. */

export interface CelRule {
  rule: string;
  message: string;
}

export const validated = (...rules: CelRule[]) => ({ 'x-kubernetes-validations': rules });

/** The value stays what it was at the start of the run. */
export const immutable = (what: string) =>
  validated({ rule: 'self == oldSelf', message: `${what} cannot change; make a new run` });

/** A list whose items are told apart by `key`. */
export const listMap = (key: string) => ({
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': [key],
});
