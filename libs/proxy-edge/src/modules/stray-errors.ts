import { comesFromModule } from './module-host.ts';

/**
 * Errors that a user's filter throws when nobody called it (a timer, a promise nobody waits for) are logged and the worker goes on: it carries
 * other streams. The stream they were for ends by its own timeouts. All other errors end the worker, which is then replaced.
 */
export function keepRunningAfterModules(log: { error(fields: object, message: string): void }): void {
  process.on('uncaughtException', (error) => {
    const module = comesFromModule(error);
    if (module === null) throw error;
    log.error({ err: error, module }, "a filter's module threw outside of any call");
  });
}
