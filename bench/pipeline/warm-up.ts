/** Steps of a module of which none counts: graphs are compiled, memory is asked for. */
export const WARM_UP = 5;
