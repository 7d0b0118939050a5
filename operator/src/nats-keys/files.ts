import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsAuth } from './keys.ts';

/** Writes the files into the folder, for its owner's eyes only. Throws if one of them is there already. */
export function writeAuth(folder: string, auth: NatsAuth): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(auth)) {
    writeFileSync(join(folder, name), content, { mode: 0o600, flag: 'wx' });
  }
}
