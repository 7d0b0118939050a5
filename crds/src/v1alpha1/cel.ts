/** Rules and list types that the API server checks, for the `meta` of a schema. */

export interface CelRule {
  rule: string;
  message: string;
}

export const validated = (...rules: CelRule[]) => ({ 'x-kubernetes-validations': rules });

/** Rule of a field that cannot change after creation. */
export const IMMUTABLE = 'self == oldSelf';

/** Makes the field `name` immutable. The generated description says so. */
export const immutable = (name: string) =>
  validated({ rule: IMMUTABLE, message: `${name} cannot change; make a new run` });

/** Makes a list a map with items identified by `key`. */
export const listMap = (key: string) => ({
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': [key],
});
