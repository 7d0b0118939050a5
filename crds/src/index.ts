export * from './encoding.ts';
export * from './layers.ts';
export * from './module-config.ts';
export * from './names.ts';
export * from './report.ts';
export * from './run.ts';
