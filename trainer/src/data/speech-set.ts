/** One split of a data set of speech: utterances, read by their place in it. */
export interface SpeechSet {
  readonly length: number;
  /** Speakers are 0 to speakers - 1. */
  readonly speakers: number;
  /** Phone labels are 0 to phones - 1; 0: there are none. */
  readonly phones: number;
  /** Throws a `DataError`. */
  read(index: number): Promise<Utterance>;
}

export interface Utterance {
  /** 16 bits, 16,000 a second. */
  pcm: Int16Array;
  speaker: number;
  /** One label for each 160 samples, as far as they go; empty where there are none. */
  phones: Int32Array;
}
