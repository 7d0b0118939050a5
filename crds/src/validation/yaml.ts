import {
  type Document,
  isScalar,
  type LineCounter,
  parseAllDocuments,
  type ScalarTag,
  stringify,
  visit,
  YAMLParseError,
} from 'yaml';
import { show } from './path.ts';

/**
 * Reads YAML as kubectl does: scalars are resolved by the rules of go-yaml v2, which sigs.k8s.io/yaml uses
 * (go.yaml.in/yaml/v2, resolve.go). They are YAML 1.1 without sexagesimal numbers; dates are strings.
 */

const plainTag = (tag: string, test: RegExp, resolve: (text: string) => unknown): ScalarTag => ({
  tag: `tag:yaml.org,2002:${tag}`,
  default: true,
  test,
  resolve,
});

const INTEGER =
  /^[-+]?(?:0[bB][_]*[01][01_]*|0[oO]?[_]*[0-7][0-7_]*|0[xX][_]*[\da-fA-F][\da-fA-F_]*|0|[1-9][\d_]*)$/;

/** Returns the integer of text that matches INTEGER. Numbers with a leading zero are octal. */
function integerOf(text: string): number {
  const [, sign, digits = ''] = /^([-+]?)(.*)$/.exec(text.replaceAll('_', '')) ?? [];
  const value = Number(/^0\d/.test(digits) ? `0o${digits}` : digits);
  return sign === '-' ? -value : value;
}

const FLOAT =
  /^(?:[-+]?(?:\.\d+|\d[\d_]*(?:\.[\d_]*)?)(?:[eE][-+]?\d+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;

/** Returns the number of text that matches FLOAT, or the text if it exceeds a double. */
function floatOf(text: string): number | string {
  if (/nan$/i.test(text)) return Number.NaN;
  if (/inf$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  const value = Number(text.replaceAll('_', ''));
  return Number.isFinite(value) ? value : text;
}

const BOOL =
  /^(?:[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;

const TAGS: ScalarTag[] = [
  plainTag('null', /^(?:~|null|Null|NULL)?$/, () => null),
  plainTag('bool', BOOL, (text) => /^(?:y|yes|true|on)$/i.test(text)),
  plainTag('int', INTEGER, integerOf),
  plainTag('float', FLOAT, floatOf),
  { tag: 'tag:yaml.org,2002:binary', resolve: (text) => Buffer.from(text, 'base64').toString() },
];

/** Returns `value` as YAML that kubectl reads as the same value. Quotes strings that kubectl would read as another type. */
export const stringifyForKubectl = (value: unknown): string =>
  stringify(value, {
    version: '1.1',
    lineWidth: 0,
    aliasDuplicateObjects: false,
    // Only go-yaml reads 0o17 as a number.
    customTags: [{ ...plainTag('int', /^[-+]?0o[0-7_]+$/, integerOf), identify: () => false }],
  });

/**
 * Returns the documents of the text; their `errors` include keys that occur twice. Throws a RangeError if it nests
 * too deep.
 */
export function parseLikeKubectl(text: string, lines: LineCounter): Document.Parsed[] {
  // The library compares each key with all others, which takes an hour for 1 MiB of keys.
  const documents = [
    ...parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'error',
      schema: 'failsafe',
      customTags: TAGS,
      merge: true,
    }),
  ];
  for (const document of documents) {
    // A value that contradicts its tag, such as !!int twelve. kubectl reads values with other tags as text.
    for (const warning of document.warnings) {
      if (warning.message.includes('tag:yaml.org,2002:'))
        document.errors.push(new YAMLParseError(warning.pos, warning.code, warning.message));
    }
    visit(document, {
      Map(_, { items }) {
        const seen = new Set<unknown>();
        for (const { key } of items) {
          if (!isScalar(key)) continue;
          const [start = 0, end = 0] = key.range ?? [];
          if (seen.has(key.value)) {
            const message = `Map keys must be unique: ${show(key.value)} occurs twice`;
            document.errors.push(new YAMLParseError([start, end], 'DUPLICATE_KEY', message));
          }
          seen.add(key.value);
        }
      },
    });
  }
  return documents;
}
