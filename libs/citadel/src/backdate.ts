/** Slow clocks must accept what was signed a moment ago (Istio: two minutes). Milliseconds. */
export const backdatedMs = 120_000;
