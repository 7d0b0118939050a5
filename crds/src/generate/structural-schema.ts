import { z } from 'zod';

/** Turns a zod schema into the structural OpenAPI schema that a CustomResourceDefinition takes. */

export type JsonSchema = { [key: string]: unknown };

/** Numbers that zod writes for "any whole number". */
const UNBOUNDED = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];

export function structuralSchema(schema: z.ZodType): JsonSchema {
  // `input`: fields with a default are optional. What has no OpenAPI form must not pass in silence.
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline' });
  return structural(json as JsonSchema);
}

function structural(node: JsonSchema): JsonSchema {
  if (Array.isArray(node.anyOf)) return intOrString(node);
  const { $schema: _, additionalProperties, properties, items, ...rest } = node;
  const out: JsonSchema = withDefaultInWords(rest);
  delete out.propertyNames; // Kubernetes has no such thing.
  if (UNBOUNDED.includes(out.maximum as number)) delete out.maximum;
  if (UNBOUNDED.includes(out.minimum as number)) delete out.minimum;
  if (out.type === 'integer' && (out.maximum as number) > 0x7fff_ffff) out.format = 'int64';
  if (isSchema(properties) && Object.keys(properties).length > 0) {
    out.properties = Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [
        name,
        structural(property as JsonSchema),
      ]),
    );
  }
  if (isSchema(items)) out.items = structural(items);
  // `false` and `{}` say what Kubernetes does anyway: it prunes, or it is told to preserve.
  if (isSchema(additionalProperties) && Object.keys(additionalProperties).length > 0) {
    out.additionalProperties = structural(additionalProperties);
  }
  return out;
}

/** `kubectl explain` does not show defaults, so descriptions say those that are a single value. */
function withDefaultInWords(node: JsonSchema): JsonSchema {
  const { description, default: value } = node;
  const shown = ['string', 'number', 'boolean'].includes(typeof value);
  if (!shown || typeof description !== 'string' || /\bDefault\b/.test(description))
    return { ...node };
  return { ...node, description: `${description} Default ${value}.` };
}

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The one union that Kubernetes knows: a whole number or text. */
function intOrString({ anyOf, ...rest }: JsonSchema): JsonSchema {
  const types = (anyOf as JsonSchema[]).map(({ type }) => type).sort();
  if (types.join() !== 'integer,string') {
    throw new TypeError(`a CRD has no union of ${types.join(' and ')}`);
  }
  return { ...rest, 'x-kubernetes-int-or-string': true };
}
