import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { RevocationsClient, RootRotationClient, type RevokeRequest, type RevokeResponse, type RotationActRequest, type RotationStatus } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { CliError } from '../../cli-error.ts';
import type { MeshContext } from '../../context.ts';

/** Citadel as whoever may open its Unix socket sees it. */
export interface CitadelClient {
  status(): Promise<RotationStatus>;
  /** Undefined when citadel does not answer now: it may be starting. */
  statusIfThere(): Promise<RotationStatus | undefined>;
  act(request: RotationActRequest): Promise<RotationStatus>;
  /** For good. */
  revoke(request: RevokeRequest): Promise<RevokeResponse>;
  close(): void;
}

const callDeadlineMs = 30_000;

export function connectCitadel(context: MeshContext): CitadelClient {
  const socket = context.citadelSocket;
  if (!socket) throw new CliError('The context names no citadelSocket: run this where citadel runs, with its --socket in the context file.');
  const client = new RootRotationClient(`unix:${socket}`, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0, 'grpc.max_reconnect_backoff_ms': 1000 });
  const revocations = new RevocationsClient(`unix:${socket}`, credentials.createInsecure(), { channelOverride: client.getChannel() });
  const deadline = (): { readonly deadline: number } => ({ deadline: Date.now() + callDeadlineMs });
  const outcome = <T>(ask: (done: (error: ServiceError | null, reply: T) => void) => unknown): Promise<T | ServiceError> => new Promise((resolve) => ask((error, reply) => resolve(error ?? reply)));
  const statusNow = (): Promise<RotationStatus | ServiceError> => outcome((done) => client.status({}, new Metadata(), deadline(), done));
  return {
    status: async () => orThrow(await statusNow()),
    statusIfThere: async () => {
      const reply = await statusNow();
      return reply instanceof Error && isAway(reply) ? undefined : orThrow(reply);
    },
    act: async (request) => orThrow(await outcome<RotationStatus>((done) => client.act(request, new Metadata(), deadline(), done))),
    revoke: async (request) => orThrow(await outcome<RevokeResponse>((done) => revocations.revoke(request, new Metadata(), deadline(), done))),
    close: () => client.close(),
  };
}

function orThrow<T extends RotationStatus | RevokeResponse>(reply: T | ServiceError): T {
  if (!(reply instanceof Error)) return reply;
  throw new CliError(isAway(reply) ? `Citadel does not answer (${reply.details}). Is the mesh running? Its log is in .meltemi/logs/citadel.log after npm start.` : reply.details);
}

function isAway({ code }: ServiceError): boolean {
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED;
}
