import { ApiError } from '../kube/client.ts';

/** The API server understood a request and does not take the object: not as it is, or not now. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  override readonly cause: ApiError;
  readonly kind: string;
  readonly object: string;

  constructor(kind: string, object: string, cause: ApiError) {
    super(`the API server refuses ${kind} ${object}: ${cause.said}`);
    this.cause = cause;
    this.kind = kind;
    this.object = object;
  }
}

/** Malformed; forbidden by rights, a quota or a webhook; invalid. Other answers tell of the server, not of the object. */
const REFUSALS: readonly number[] = [400, 403, 422];
/** How server-side apply answers to a field that no schema has, with 500. */
const NO_SUCH_FIELD = 'failed to create typed patch object';

const isRefusal = (error: unknown): error is ApiError =>
  error instanceof ApiError &&
  (REFUSALS.includes(error.status) || error.said.startsWith(NO_SUCH_FIELD));

/** What `writing` an object comes to. @throws RefusedError */
export async function orRefused<T>(
  { kind = '', metadata }: { kind?: string; metadata?: { name?: string } },
  writing: Promise<T>,
): Promise<T> {
  try {
    return await writing;
  } catch (error) {
    throw isRefusal(error) ? new RefusedError(kind, metadata?.name ?? '', error) : error;
  }
}
