/** Milliseconds that a module which only forwards waits while the next module has enough samples. */
export const FORWARD_PAUSE = 20;
/** Milliseconds before a producer tries a full stream again. */
export const FULL_STREAM_PAUSE = 20;
/** Maximum number of messages per pull: more, of up to 1 MiB each, would overrun a busy client. */
export const MAX_PULLED = 4;
