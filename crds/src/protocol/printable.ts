/**
 * Text of other people as a terminal may show it: control and format characters, with which a text could move the cursor,
 * change colours or the title, become U+FFFD. Line breaks and tabs stay.
 */
export const printable = (text: string): string =>
  text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}]/gu, '\u{fffd}');
