/**
 * Returns `text` in a form that is safe for terminals. Control and format characters, which could move the cursor or change
 * colors and title, become U+FFFD. Line breaks and tabs stay.
 */
export const printable = (text: string): string =>
  text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}]/gu, '\u{fffd}');
