import { printable } from '@greedy-infomax/crds';

/** Prints text that may come from foreign files: terminal escapes in it become U+FFFD. */
export const print = (text: string): void => console.log(printable(text));

/** Prints to stderr, like `print`. */
export const printError = (text: string): void => console.error(printable(text));
