import { jsonToBinary } from '@meltemi/api';
import { DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import { shortTypeName, unwrapResource, versionOfAll, type XdsResource } from '@meltemi/xds';
import { parse } from 'yaml';
import { checkJson } from './check-json.ts';
import { strictJson } from './strict-json.ts';

/** What a discovery file holds. */
export interface DiscoveryFile {
  /** version_info; a hash of the content when the file has none. */
  readonly version: string;
  readonly resources: readonly XdsResource[];
}

const responseType = 'envoy.service.discovery.v3.DiscoveryResponse';

/** Reads a DiscoveryResponse as its file's name says: .pb binary, else YAML or JSON. Like Envoy it is taken whole or refused whole. */
export function readDiscoveryFile(name: string, bytes: Buffer, typeUrl: string): Result<DiscoveryFile> {
  const response = name.endsWith('.pb') ? decoded(bytes) : fromText(bytes);
  if (!response.ok) return response;
  const errors: FieldError[] = [];
  const resources = new Map<string, XdsResource>();
  for (const [index, any] of response.value.resources.entries()) {
    const at = `resources[${index}]`;
    const { resource } = unwrapResource(any);
    if (resource?.any.typeUrl !== typeUrl) errors.push({ path: at, message: `is a ${shortTypeName(resource?.any.typeUrl ?? any.typeUrl)} resource: this file is read for ${shortTypeName(typeUrl)}` });
    else if (resource.name === '') errors.push({ path: `${at}.name`, message: 'is required' });
    else if (resources.has(resource.name)) errors.push({ path: `${at}.name`, message: `"${resource.name}" is taken by an earlier one: names are unique` });
    else resources.set(resource.name, resource);
  }
  if (errors.length > 0) return err(errors);
  return ok({ version: response.value.versionInfo || versionOfAll(resources.values()), resources: [...resources.values()] });
}

function decoded(bytes: Buffer): Result<DiscoveryResponse> {
  try {
    return ok(DiscoveryResponse.decode(bytes));
  } catch (cause) {
    return fail('', `is not a binary DiscoveryResponse: ${text(cause)}`);
  }
}

function fromText(bytes: Buffer): Result<DiscoveryResponse> {
  let json: unknown;
  try {
    json = parse(bytes.toString('utf8'), { merge: true, maxAliasCount: 100 });
  } catch (cause) {
    return fail('', text(cause).split('\n')[0] ?? '');
  }
  // An empty file would take everything away: more likely it is being written.
  if (json === null || json === undefined) return fail('', 'is empty: a DiscoveryResponse has at least "resources: []"');
  json = strictJson(responseType, json);
  const errors = checkJson(responseType, json);
  if (errors.length > 0) return err(errors);
  try {
    return ok(DiscoveryResponse.decode(jsonToBinary(responseType, json)));
  } catch (cause) {
    return fail('', text(cause));
  }
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
