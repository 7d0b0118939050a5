import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsAuth } from './keys.ts';

/** Writes the files into the folder, readable by their owner only. Throws if one of them exists. */
export function writeAuth(folder: string, auth: NatsAuth): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(auth)) {
    writeFileSync(join(folder, name), content, { mode: 0o600, flag: 'wx' });
  }
}
