import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/**
 * Checks comments, descriptions and documentation for openings and words that CONTRIBUTING.md retires.
 * `node setup/plain-english.ts` prints each finding and fails if there is one; `--count` prints the numbers by folder.
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
  [/\b(of|to|by|in|from|for|with|behind|under) which\b/i, 'two sentences'],
  [/\b(comes|came|come) to\b/i, 'is, totals, reaches'],
  [/\b(comes|came) of\b/i, 'results from'],
  [/\bis no (number|object|run|error|file|such|image|stream)\b/i, 'is not a …'],
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

export function check(file: string, source: string): Finding[] {
  const findings: Finding[] = [];
  if (file.endsWith('.ts')) {
    for (const { line, text } of commentsOf(source)) {
      if (HEADLESS.test(text)) findings.push({ file, line, rule: 'headless comment', text });
    }
  }
  for (const { line, text } of proseOf(file, source)) {
    const plain = text.replace(/`[^`]*`/g, '');
    for (const [pattern, better] of RETIRED) {
      if (pattern.test(plain)) {
        findings.push({ file, line, rule: `${pattern.exec(plain)?.[0]} -> ${better}`, text });
      }
    }
  }
  return findings;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const files = execFileSync('git', ['ls-files', '*.ts', '*.md'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .filter((file) => !/^setup\/plain-english|^bench\/RESULTS\.md|^CHANGELOG/.test(file));
  const sources = files.map((file) => ({ file, source: readFileSync(file, 'utf8') }));
  const findings = sources.flatMap(({ file, source }) => check(file, source));
  if (process.argv.includes('--count')) {
    const comments = sources
      .filter(({ file }) => file.endsWith('.ts'))
      .reduce((sum, { source }) => sum + commentsOf(source).length, 0);
    const headless = findings.filter(({ rule }) => rule === 'headless comment').length;
    const folders = Map.groupBy(findings, ({ file }) => file.split('/').slice(0, 3).join('/'));
    for (const [folder, found] of folders) console.log(`${folder}: ${found.length}`);
    console.log(`${headless} headless comments of ${comments}; ${findings.length} findings`);
  } else {
    for (const { file, line, rule, text } of findings) {
      console.log(`${file}:${line}: ${rule}: ${text.slice(0, 100)}`);
    }
    process.exitCode = findings.length > 0 ? 1 : 0;
  }
}
