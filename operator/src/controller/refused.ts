import { ApiError } from '../kube/client.ts';

/** The API server understood a request and rejected the object, for now or for good. */
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

/**
 * HTTP statuses that concern the object, not the server: malformed; forbidden by rights, a quota or a webhook;
 * invalid.
 */
const REFUSALS: readonly number[] = [400, 403, 422];
/** Message of server-side apply, with status 500, for a field that the schema lacks. */
const NO_SUCH_FIELD = 'failed to create typed patch object';

const isRefusal = (error: unknown): error is ApiError =>
  error instanceof ApiError &&
  (REFUSALS.includes(error.status) || error.said.startsWith(NO_SUCH_FIELD));

/** Resolves with the result of `writing` an object. @throws RefusedError */
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
