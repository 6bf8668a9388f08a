import { status, type StatusObject } from '@grpc/grpc-js';
import type { RevocationsServer } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { withDeadline } from '@meltemi/base';
import type { CertificateService } from '@meltemi/citadel';
import type { CitadelLog } from './certificate-handlers.ts';

export interface RevocationParts {
  readonly service: CertificateService;
  /** Gives what is in force to everybody who follows it. */
  readonly refresh: () => Promise<void>;
  readonly log: CitadelLog;
}

const callDeadlineMs = 20_000;
const maxSerials = 1000;

/** For the Unix socket only. */
export function revocationHandlers({ service, refresh, log }: RevocationParts): RevocationsServer {
  return {
    revoke: (call, done) => {
      const { serials, spiffeId } = call.request;
      const work = async (): Promise<{ serials: string[]; unknown: string[]; warning: string } | Partial<StatusObject>> => {
        if (serials.length > maxSerials) return { code: status.INVALID_ARGUMENT, details: `at most ${maxSerials} serial numbers at a time` };
        const revoked = await service.revoke({ serials, spiffeId });
        log.info({ audit: true, ...(spiffeId !== '' && { spiffeId }), ...(revoked.ok ? { serials: revoked.value.serials, ...(revoked.value.warning !== '' && { warning: revoked.value.warning }) } : { refused: revoked.error.message }) }, revoked.ok ? 'certificates revoked' : 'certificates not revoked');
        if (!revoked.ok) return { code: status.INVALID_ARGUMENT, details: revoked.error.message };
        await refresh();
        return { serials: [...revoked.value.serials], unknown: [...revoked.value.unknown], warning: revoked.value.warning };
      };
      const finish = async (): Promise<void> => {
        try {
          const outcome = await withDeadline(work(), callDeadlineMs, 'answering');
          if ('serials' in outcome) done(null, outcome);
          else done(outcome);
        } catch (cause) {
          const reason = cause instanceof Error ? cause.message : String(cause);
          log.error({ reason }, 'certificates not revoked: the keystore could not be reached');
          done({ code: status.UNAVAILABLE, details: `the keystore could not be reached: ${reason}. Revoke again` });
        }
      };
      void finish();
    },
  };
}
