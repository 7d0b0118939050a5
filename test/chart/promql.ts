import { createRequire } from 'node:module';

/** The parts of a Lezer syntax tree that are read here. */
interface Node {
  name: string;
  from: number;
  to: number;
  node: { type: { isError: boolean }; parent: { name: string } | null };
}
interface Grammar {
  parser: {
    parse(text: string): {
      iterate(visit: { enter(node: Node): void; leave(node: Node): void }): void;
    };
  };
}

/** Prometheus's own grammar, from its user interface. */
const { parser } = createRequire(import.meta.url)('@prometheus-io/lezer-promql') as Grammar;

/** A text is invalid PromQL; the message contains it and the position of the error. */
export class PromqlError extends Error {
  override readonly name = 'PromqlError';

  constructor(expression: string, at: number) {
    super(`PromQL breaks at ${at}: ${expression.slice(0, at)}<HERE>${expression.slice(at)}`);
  }
}

export interface Query {
  /** Names of the series that the expression uses, each once. */
  names: string[];
  /** Names of the series below `rate` or `increase`, each once. */
  rated: string[];
}

const RATES = new Set(['rate', 'increase', 'irate']);

/**
 * Parses an expression with Prometheus's own grammar. Grafana's `$variables` may stand in strings.
 * @throws PromqlError if it is invalid.
 */
export function readPromql(expression: string): Query {
  const names = new Set<string>();
  const rated = new Set<string>();
  /** End positions of the open calls of `rate` and `increase`. */
  const open: number[] = [];
  parser.parse(expression).iterate({
    enter({ name, from, to, node }) {
      if (node.type.isError) throw new PromqlError(expression, from);
      if (name === 'FunctionCall' && RATES.has(expression.slice(from).match(/^\w+/)?.[0] ?? '')) {
        open.push(to);
      }
      if (name !== 'Identifier' || node.parent?.name !== 'VectorSelector') return;
      const series = expression.slice(from, to);
      names.add(series);
      if (open.some((end) => from < end)) rated.add(series);
    },
    leave({ name, to }) {
      if (name === 'FunctionCall' && open.at(-1) === to) open.pop();
    },
  });
  return { names: [...names], rated: [...rated] };
}
