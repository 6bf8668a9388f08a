import type { JourneyRequest } from '@meltemi/explain';
import type { CommandEnvironment } from '../../command.ts';

const deadlineMs = 3000;

/** The different requests that telemetry saw lately; none, with the reason on the way of errors, when it cannot be asked. */
export async function recentRequests({ context, output }: CommandEnvironment): Promise<readonly JourneyRequest[]> {
  const { telemetry } = context();
  if (telemetry === undefined) return [];
  try {
    const response = await fetch(`${telemetry}/requests`, { signal: AbortSignal.timeout(deadlineMs) });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    const { requests } = (await response.json()) as { requests?: readonly { readonly from: string; readonly method: string; readonly url: string }[] };
    return (requests ?? []).flatMap(({ from, method, url }): JourneyRequest[] => {
      const parsed = URL.parse(url);
      return parsed ? [{ from, method, url: parsed, headers: {} }] : [];
    });
  } catch (cause) {
    output.err(`Requests seen lately are left out: telemetry at ${telemetry} cannot be asked: ${cause instanceof Error ? cause.message : String(cause)}`);
    return [];
  }
}
