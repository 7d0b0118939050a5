import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Finds openings and words that CONTRIBUTING.md retires in comments, messages and documentation.
 * `node setup/plain-english.ts` prints each finding and fails if there is one. `--check` fails only if
 * a folder has more findings than plain-english.json allows; `--update` writes that file. `--count`
 * prints the findings by folder.
 */

export interface Finding {
  file: string;
  line: number;
  rule: string;
  text: string;
}

/** Openings of a comment without a subject or a verb. */
const HEADLESS =
  /^(Of|Whose|Whom|Who|What|Whether|Which|That|Those|These|The same|How|Where|Whatever|Whoever|Also|Else|So|Not|But|Nor|By whom|To whom|For whom|As if)\b/;

/** Words and phrases of the retired vocabulary, by what replaces them. */
export const RETIRED: readonly [pattern: RegExp, better: string][] = [
  [/\breadouts?\b/i, 'linear probe (the classifier), evaluation (the phase)'],
  [/\bcrews?\b/i, 'replicas'],
  [/\bmistakes?\b/i, 'validation error'],
  [/\bstretch(es)?\b/i, 'segment'],
  [/\bpulses?\b/i, 'heartbeat'],
  [/\blet loose\b/i, 'started'],
  [/\bput up with\b/i, 'tolerate'],
  [/\bwhoever\b/i, 'the client, the user, the caller'],
  [/\bwhatever\b/i, 'any, each'],
  [/\bnobody\b/i, 'no client, no user'],
  [/\bwhom\b/i, 'name the subject'],
  [/\b(of|to|from|behind|under) which\b/i, 'two sentences'],
  [/\b(comes|came|come) to\b/i, 'is, totals, reaches'],
  [/\b(comes|came) of\b/i, 'results from'],
  [/(?<!there )\bis no (number|object|run|error|file|such|image|stream)\b/i, 'is not a …'],
  [/\bno (number)\b/i, 'NaN'],
  [/\bat work\b/i, 'running'],
  [/\bto and fro\b/i, 'back and forth'],
  [/\bthe like\b/i, 'name the things'],
  [/\ball the same\b/i, 'nevertheless, or nothing'],
  [/\bbe it\b/i, 'whether'],
  [/\blest\b/i, 'so that … not'],
  [/\bthereof|therein|thereby|hitherto|whence|thence\b/i, 'plain words'],
];

interface Comment {
  line: number;
  text: string;
}

/** A boolean's doc comment may begin with "Whether"; a function's begins with "Reports whether". */
const BOOLEAN = /^\s*(?:readonly )?\w+\??: (?:boolean|true)\b/;

/** Returns the comments of TypeScript source. A run of `//` lines is one comment. */
export function commentsOf(source: string): Comment[] {
  const comments: Comment[] = [];
  const lines = source.split('\n');
  let block: Comment | null = null;
  let lastLine = -2;
  for (const [i, raw] of lines.entries()) {
    const line = raw.trim();
    if (block) {
      const end = line.indexOf('*/');
      const text = (end < 0 ? line : line.slice(0, end)).replace(/^\*\s?/, '');
      block.text += ` ${text}`;
      if (end >= 0) {
        comments.push(block);
        block = null;
      }
      continue;
    }
    const start = /^(?:[^'"`]*\s)?\/\*\*?(.*)$/.exec(line);
    if (start) {
      const text = start[1] ?? '';
      const end = text.indexOf('*/');
      if (end >= 0) comments.push({ line: i + 1, text: text.slice(0, end).trim() });
      else block = { line: i + 1, text: text.trim() };
      continue;
    }
    const own = /^\/\/\s?(.*)$/.exec(line);
    const behind = /[;,{}()[\]]\s+\/\/\s(.*)$/.exec(line);
    if (own) {
      const previous = comments.at(-1);
      if (lastLine === i - 1 && previous) previous.text += ` ${own[1]}`;
      else comments.push({ line: i + 1, text: own[1] ?? '' });
      lastLine = i;
    } else if (behind) comments.push({ line: i + 1, text: behind[1] ?? '' });
  }
  return comments.map(({ line, text }) => ({ line, text: text.trim() })).filter(({ text }) => text);
}

/** Returns the texts of a file that people read as prose. */
function proseOf(file: string, source: string): Comment[] {
  if (file.endsWith('.ts')) {
    const strings = source.split('\n').flatMap((text, i) => {
      const found =
        /(?:describe\(|message: |Error\(|\b(?:it|test)(?:\.each\([^)]*\))?\()\s*(['"`])(.*)\1/.exec(
          text,
        );
      return found ? [{ line: i + 1, text: found[2] ?? '' }] : [];
    });
    return [...commentsOf(source), ...strings];
  }
  let fenced = false;
  return source.split('\n').flatMap((text, i) => {
    if (text.startsWith('```')) fenced = !fenced;
    return fenced || text.startsWith('```') ? [] : [{ line: i + 1, text }];
  });
}

/** Returns the findings of one file. Code spans and URLs are skipped. */
export function check(file: string, source: string): Finding[] {
  const findings: Finding[] = [];
  const lines = source.split('\n');
  const describesBoolean = (line: number) => {
    const end = lines.findIndex((text, i) => i >= line - 1 && !/^\s*(\/?\*|\/\/)/.test(text));
    return BOOLEAN.test(lines[end] ?? '');
  };
  if (file.endsWith('.ts')) {
    for (const { line, text } of commentsOf(source)) {
      if (!HEADLESS.test(text)) continue;
      if (text.startsWith('Whether ') && describesBoolean(line)) continue;
      findings.push({ file, line, rule: 'headless comment', text });
    }
  }
  for (const { line, text } of proseOf(file, source)) {
    const plain = text.replace(/`[^`]*`|https?:\/\/\S+/g, '');
    for (const [pattern, better] of RETIRED) {
      const word = pattern.exec(plain)?.[0];
      if (word) findings.push({ file, line, rule: `${word} -> ${better}`, text });
    }
  }
  return findings;
}

/** Returns the folder that a file is counted in: at most three levels, `.` for the root. */
export const folderOf = (file: string): string =>
  file.split('/').slice(0, -1).slice(0, 3).join('/') || '.';

/** Returns the number of findings by folder, sorted by name. Folders without findings are left out. */
export function countsOf(findings: readonly Finding[]): Record<string, number> {
  const folders = [...Map.groupBy(findings, ({ file }) => folderOf(file))];
  const counts = folders.map(([folder, found]) => [folder, found.length] as const);
  return Object.fromEntries(counts.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Returns the findings in folders that have more than `allowed`; other folders allow none. */
export function excess(
  findings: readonly Finding[],
  allowed: Readonly<Record<string, number>>,
): Finding[] {
  const counts = countsOf(findings);
  const grown = (folder: string) => (counts[folder] ?? 0) > (allowed[folder] ?? 0);
  return findings.filter(({ file }) => grown(folderOf(file)));
}

const ALLOWED = join(import.meta.dirname, 'plain-english.json');

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const files = execFileSync('git', ['ls-files', '*.ts', '*.md'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .filter((file) => !/^setup\/plain-english|^bench\/RESULTS\.md|^CHANGELOG/.test(file))
    .filter((file) => existsSync(file)); // one may be deleted and not staged yet
  const sources = files.map((file) => ({ file, source: readFileSync(file, 'utf8') }));
  const findings = sources.flatMap(({ file, source }) => check(file, source));
  const print = (found: readonly Finding[]) => {
    for (const { file, line, rule, text } of found) {
      console.log(`${file}:${line}: ${rule}: ${text.slice(0, 100)}`);
    }
    process.exitCode = found.length > 0 ? 1 : 0;
  };
  if (process.argv.includes('--count')) {
    const comments = sources
      .filter(({ file }) => file.endsWith('.ts'))
      .reduce((sum, { source }) => sum + commentsOf(source).length, 0);
    const headless = findings.filter(({ rule }) => rule === 'headless comment').length;
    for (const [folder, count] of Object.entries(countsOf(findings))) {
      console.log(`${folder}: ${count}`);
    }
    console.log(`${headless} headless comments of ${comments}; ${findings.length} findings`);
  } else if (process.argv.includes('--update')) {
    writeFileSync(ALLOWED, `${JSON.stringify(countsOf(findings), null, 2)}\n`);
  } else if (process.argv.includes('--check')) {
    print(excess(findings, JSON.parse(readFileSync(ALLOWED, 'utf8'))));
    if (process.exitCode) {
      console.log('Each folder above has more findings than setup/plain-english.json allows.');
    }
  } else print(findings);
}
