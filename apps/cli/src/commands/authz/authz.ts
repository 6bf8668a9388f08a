import type { CommandModule } from '../../command.ts';
import { addCheck } from './check.ts';
import { addSuggest } from './suggest.ts';

/** `meltemi authz`: suggest policies from what was observed, and see which are in force at a proxy. */
export const authzCommand: CommandModule = (program, environment) => {
  const parent = program.command('authz').description('suggest AuthorizationPolicies from observed traffic; show those in force at a proxy');
  addSuggest(parent, environment);
  addCheck(parent, environment);
};
