import type { z } from 'zod';
import { SPEECH } from '../network/sample-shape.ts';
import { API_GROUP, API_VERSION } from '../protocol/names.ts';
import { type CelRule, validated } from '../v1alpha1/cel.ts';
import { moduleResourceSchema } from '../v1alpha1/module-resource.ts';
import { RUN_NAME_MAX, runSchema } from '../v1alpha1/run.ts';
import { stringifyForKubectl } from '../validation/yaml.ts';
import { type JsonSchema, structuralSchema } from './structural-schema.ts';

/** Builds the CustomResourceDefinitions from the schemas. */

interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'number' | 'date';
  jsonPath: string;
  description: string;
  /** Columns with a priority above 0 are shown only with `-o wide`. */
  priority?: number;
}

interface Resource {
  kind: string;
  plural: string;
  shortName: string;
  schema: z.ZodObject;
  rules: CelRule[];
  columns: PrinterColumn[];
  scale?: JsonSchema;
}

const AGE: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since creation',
};

const RESTARTS: PrinterColumn = {
  name: 'Restarts',
  type: 'integer',
  jsonPath: '.status.restarts',
  description: 'Number of restarts after failures',
};

const LAST_FAILURE: PrinterColumn = {
  name: 'Failure',
  type: 'string',
  jsonPath: '.status.lastFailure.reason',
  description: 'Reason of the most recent failure of a trainer',
};

const IS_SPEECH = `self.spec.data.format in [${SPEECH.map((format) => `'${format}'`).join(', ')}]`;

const RUN: Resource = {
  kind: 'GreedyInfoMaxRun',
  plural: 'greedyinfomaxruns',
  shortName: 'gimrun',
  schema: runSchema,
  rules: [
    {
      rule: `size(self.metadata.name) <= ${RUN_NAME_MAX} && !self.metadata.name.contains('.')`,
      message: `metadata.name must be at most ${RUN_NAME_MAX} characters without dots`,
    },
    {
      rule: `${IS_SPEECH} || (has(self.spec.augmentation) && has(self.spec.patches) && !has(self.spec.window))`,
      message: 'images need augmentation and patches, and must not have window',
    },
    {
      rule: `!(${IS_SPEECH}) || (has(self.spec.window) && !has(self.spec.augmentation) && !has(self.spec.patches))`,
      message: 'speech needs window, and must have neither augmentation nor patches',
    },
  ],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Phase' },
    {
      name: 'Data',
      type: 'string',
      jsonPath: '.spec.data.format',
      description: 'Format of the data set',
      priority: 1,
    },
    {
      name: 'Ready',
      type: 'string',
      jsonPath: '.status.ready',
      description: 'Number of ready trainers and of desired trainers',
    },
    {
      name: 'Percent',
      type: 'integer',
      jsonPath: '.status.percent',
      description: 'Percentage of the budget that the slowest module has spent',
    },
    {
      name: 'ETA',
      type: 'string',
      jsonPath: '.status.eta',
      description: 'Estimated time until the slowest module has spent its budget',
    },
    RESTARTS,
    LAST_FAILURE,
    {
      name: 'Report',
      type: 'date',
      jsonPath: '.status.lastReportTime',
      description: 'Time since the most recent report of a trainer',
      priority: 1,
    },
    {
      name: 'Evaluated',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Evaluated")].status',
      description: 'Whether the status has the accuracy of every module',
      priority: 1,
    },
    AGE,
    {
      name: 'Message',
      type: 'string',
      jsonPath: '.status.message',
      description: 'Reason for waiting, or for the end',
      priority: 1,
    },
  ],
};

const MODULE: Resource = {
  kind: 'GreedyInfoMaxModule',
  plural: 'greedyinfomaxmodules',
  shortName: 'gimmod',
  schema: moduleResourceSchema,
  rules: [],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Phase' },
    {
      name: 'Ready',
      type: 'integer',
      jsonPath: '.status.readyReplicas',
      description: 'Number of ready trainers',
    },
    {
      name: 'Percent',
      type: 'integer',
      jsonPath: '.status.percent',
      description: 'Percentage of the budget that is spent',
    },
    {
      name: 'Loss',
      type: 'number',
      jsonPath: '.status.loss',
      description: 'Mean loss over the last steps',
    },
    {
      name: 'Samples/s',
      type: 'number',
      jsonPath: '.status.samplesPerSecond',
      description: 'Samples per second over the last seconds',
      priority: 1,
    },
    RESTARTS,
    { ...LAST_FAILURE, priority: 1 },
    AGE,
    {
      name: 'Message',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Progressing")].message',
      description: 'Reason for waiting, or for the end',
      priority: 1,
    },
  ],
  scale: {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  },
};

/** Returns the file name and content of each definition. */
export const definitionFiles = (): { name: string; text: string }[] =>
  definitions().map((each) => ({
    name: `${each.spec.names.plural}.yaml`,
    text: `# Generated by \`make generate\` from the schemas in crds/src. Do not edit.\n${stringifyForKubectl(each)}`,
  }));

/** Returns the CustomResourceDefinitions as objects. */
export const definitions = () => [RUN, MODULE].map(definition);

function definition({ kind, plural, shortName, schema, rules, columns, scale }: Resource) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${API_GROUP}` },
    spec: {
      group: API_GROUP,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ['all'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: API_VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: rootSchema(schema, rules) },
          subresources: { status: {}, ...(scale && { scale }) },
          additionalPrinterColumns: columns,
        },
      ],
    },
  };
}

/** Returns the schema of the resource. The API server defines apiVersion, kind and metadata itself. */
function rootSchema(schema: z.ZodObject, rules: CelRule[]): JsonSchema {
  const { description, properties, required } = structuralSchema(
    schema.omit({ apiVersion: true, kind: true, metadata: true }),
  );
  return {
    type: 'object',
    description: schema.description ?? description,
    required,
    ...(rules.length > 0 && validated(...rules)),
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      ...(properties as JsonSchema),
    },
  };
}
