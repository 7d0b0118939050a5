import { z } from 'zod';
import { type CelRule, IMMUTABLE } from '../v1alpha1/cel.ts';

/** Converts a zod schema to the structural OpenAPI schema that a CustomResourceDefinition needs. */

export type JsonSchema = { [key: string]: unknown };

/** Bounds that zod writes for integers without bounds. */
const UNBOUNDED = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];

export function structuralSchema(schema: z.ZodType): JsonSchema {
  // `input`: fields with a default are optional. Throws for types that OpenAPI does not have.
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline' });
  return structural(json as JsonSchema, true);
}

function structural(node: JsonSchema, withLimits: boolean): JsonSchema {
  if (Array.isArray(node.anyOf)) return intOrString(node);
  const { $schema: _, additionalProperties, properties, items, ...rest } = node;
  const out: JsonSchema = withFacts(rest, withLimits);
  delete out.propertyNames; // Structural schemas do not have it.
  if (UNBOUNDED.includes(out.maximum as number)) delete out.maximum;
  if (UNBOUNDED.includes(out.minimum as number)) delete out.minimum;
  if (out.type === 'integer' && (out.maximum as number) > 0x7fff_ffff) out.format = 'int64';
  if (isSchema(properties) && Object.keys(properties).length > 0) {
    out.properties = Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [
        name,
        structural(property as JsonSchema, withLimits && name !== 'status'),
      ]),
    );
  }
  if (isSchema(items)) out.items = structural(items, withLimits);
  // `false` and `{}` are left out: Kubernetes prunes unknown fields unless `x-kubernetes-preserve-unknown-fields` is set.
  if (isSchema(additionalProperties) && Object.keys(additionalProperties).length > 0) {
    out.additionalProperties = structural(additionalProperties, withLimits);
  }
  return out;
}

/**
 * Appends limits, default and immutability to the description, because `kubectl explain` does not show them. Status has no
 * limits that a user must know.
 */
function withFacts(node: JsonSchema, withLimits: boolean): JsonSchema {
  const { description, default: value } = node;
  if (typeof description !== 'string') return { ...node };
  const isShown = ['string', 'number', 'boolean'].includes(typeof value);
  const isList = description.includes('\n');
  const [meaning, ...rest] = isList
    ? [description]
    : description.split(/ (?=Defaults to|Ignored outside)/);
  const facts = [
    meaning,
    ...(withLimits ? limits(node) : []),
    ...rest,
    ...(isShown && !description.includes('Defaults to') ? [`Defaults to ${plain(value)}.`] : []),
    ...(isImmutable(node) ? ['This field is immutable.'] : []),
  ];
  return { ...node, description: facts.join(isList ? '\n' : ' ') };
}

const plain = (value: unknown): string =>
  typeof value === 'number' && value >= 10_000 ? value.toLocaleString('en') : String(value);

const DNS_LABEL = '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$';

/** Returns the limits of the node as sentences. */
function limits(node: JsonSchema): string[] {
  const { minimum, maximum, multipleOf, pattern, maxLength, minItems, maxItems } = node;
  if (typeof minimum === 'number' && typeof maximum === 'number') {
    const multiple = multipleOf === undefined ? '' : `a multiple of ${multipleOf} and `;
    const isOpen = node.exclusiveMinimum === true || node.exclusiveMaximum === true;
    const least = `${node.exclusiveMinimum === true ? 'greater than' : 'at least'} ${plain(minimum)}`;
    const most = `${node.exclusiveMaximum === true ? 'less than' : 'at most'} ${plain(maximum)}`;
    const range = isOpen
      ? `${least} and ${most}`
      : `between ${plain(minimum)} and ${plain(maximum)}`;
    return [`Must be ${multiple}${range}.`];
  }
  if (pattern === DNS_LABEL) return [`Must be a DNS label of at most ${maxLength} characters.`];
  if (node.enum === undefined && maxLength !== undefined) {
    return [`Must have at most ${plain(maxLength)} characters.`];
  }
  if (maxItems !== undefined) {
    const items = minItems === undefined ? 'at most' : `between ${minItems} and`;
    return [`Must have ${items} ${maxItems} items.`];
  }
  if (node.maxProperties !== undefined) return [`Must have at most ${node.maxProperties} entries.`];
  return [];
}

const isImmutable = (node: JsonSchema): boolean =>
  ((node['x-kubernetes-validations'] ?? []) as CelRule[]).some(({ rule }) => rule === IMMUTABLE);

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Converts the only union that a structural schema allows: an integer or a string. */
function intOrString({ anyOf, ...rest }: JsonSchema): JsonSchema {
  const types = (anyOf as JsonSchema[]).map(({ type }) => type).sort();
  if (types.join() !== 'integer,string') {
    throw new TypeError(`a CRD cannot have a union of ${types.join(' and ')}`);
  }
  return { ...rest, 'x-kubernetes-int-or-string': true };
}
