/** A longer word is no typing error, and comparing takes its length times that of each other word. */
const LENGTH_MAX = 64;

/** The word of `words` that `word` may have meant; undefined if none is near. */
export function closest(word: string, words: readonly string[]): string | undefined {
  if (word.length > LENGTH_MAX) return undefined;
  const limit = Math.max(1, Math.floor(word.length / 3));
  const [best] = words
    .map((candidate) => ({ candidate, edits: edits(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter((each) => each.edits <= limit)
    .sort((a, b) => a.edits - b.edits);
  return best?.candidate;
}

/** Insertions, deletions and replacements that turn `a` into `b` (Levenshtein). */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, left] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, right] of [...b].entries()) {
      next.push(
        Math.min(
          (row[j + 1] as number) + 1,
          (next[j] as number) + 1,
          (row[j] as number) + (left === right ? 0 : 1),
        ),
      );
    }
    row = next;
  }
  return row[b.length] as number;
}
