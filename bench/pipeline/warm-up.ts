/** Steps of a module excluded from the measurement: they compile graphs and allocate memory. */
export const WARM_UP = 5;
