/**
 * Program of the clean-up Job, with the run's folder and its uid. Each trainer leaves its run's uid in module.json: the program removes
 * only folders of trainers that have the uid, and folders that are empty then. It follows no link.
 */
export const CLEANUP_PROGRAM = `
const { lstatSync, readdirSync, readFileSync, rmdirSync, rmSync } = require('node:fs');
const { join } = require('node:path');
const [run, uid] = process.argv.slice(1);
const isFolder = (path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
const folders = (path) =>
  isFolder(path) ? readdirSync(path).map((name) => join(path, name)).filter(isFolder) : [];
const ownerOf = (trainer) => {
  try {
    const file = join(trainer, 'module.json');
    return lstatSync(file).isFile() ? JSON.parse(readFileSync(file, 'utf8')).uid : undefined;
  } catch {
    return undefined;
  }
};
const removeEmpty = (path) => {
  if (isFolder(path) && readdirSync(path).length === 0) rmdirSync(path);
};
for (const module of folders(run)) {
  for (const trainer of folders(module)) {
    if (ownerOf(trainer) === uid) rmSync(trainer, { recursive: true });
  }
  removeEmpty(module);
}
removeEmpty(run);
`;
