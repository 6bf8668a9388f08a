import { bufferOf, fieldHeader } from '@meltemi/api';
import { DeltaDiscoveryResponse, DiscoveryResponse, Resource } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { Any } from '@meltemi/api/gen/google/protobuf/any.ts';

/** A message in parts, to be written one after the other; parts belong to many messages and are never changed. */
export type Chunks = readonly Buffer[];

/** Values from this size on are written from where they are, whoever they are for; smaller ones are put together first, since each part costs a call. */
const worthSharing = 16_384;

const resourcesField = 2;
const noBytes = Buffer.alloc(0);

/**
 * A delta response as protobuf. What many clients are sent alike is encoded once: the array of resources, which the protocol shares between clients that are
 * told the same, and by itself each large resource. Fields of a message may come in any order, so what is this client's own comes first.
 */
export function deltaResponseChunks(response: DeltaDiscoveryResponse): Chunks {
  return [bufferOf(DeltaDiscoveryResponse.encode({ ...response, resources: [] }).finish()), ...bodyOf(response.resources, deltaEntry)];
}

/** The same for the state of the world. */
export function sotwResponseChunks(response: DiscoveryResponse): Chunks {
  return [bufferOf(DiscoveryResponse.encode({ ...response, resources: [] }).finish()), ...bodyOf(response.resources, anyEntry)];
}

const bodies = new WeakMap<readonly object[], Chunks>();

function bodyOf<T extends object>(resources: readonly T[], entry: (resource: T) => Entry): Chunks {
  const known = bodies.get(resources);
  if (known) return known;
  const body = joined(resources.map(entry));
  bodies.set(resources, body);
  return body;
}

/** One element of the field of resources: its value, and all that comes before it. */
interface Entry {
  readonly head: Buffer;
  readonly value: Buffer;
}

/** Runs of small entries become one part each. */
function joined(entries: readonly Entry[]): Chunks {
  const chunks: Buffer[] = [];
  let run: Buffer[] = [];
  const end = () => {
    if (run.length > 0) chunks.push(Buffer.concat(run));
    run = [];
  };
  for (const { head, value } of entries) {
    run.push(head);
    if (value.length < worthSharing) {
      run.push(value);
      continue;
    }
    end();
    chunks.push(value);
  }
  end();
  return chunks;
}

const entries = new WeakMap<Any, Entry & Pick<Resource, 'name' | 'version'>>();

/** Most resources of a set are those of other sets, too: what stands before their values is made once. */
function deltaEntry(resource: Resource): Entry {
  const { name, version, resource: any } = resource;
  const known = any && entries.get(any);
  if (known?.name === name && known.version === version) return known;
  const { head, value } = newDeltaEntry(resource);
  const made = { head, value, name, version };
  if (any) entries.set(any, made);
  return made;
}

/** Field 2 of Resource is its content. */
function newDeltaEntry({ resource, ...about }: Resource): Entry {
  const own = bufferOf(Resource.encode(about).finish());
  if (!resource) return { head: Buffer.concat([fieldHeader(resourcesField, own.length), own]), value: noBytes };
  const head = anyHead(resource);
  const content = head.length + resource.value.length;
  const contentHeader = fieldHeader(2, content);
  return { head: Buffer.concat([fieldHeader(resourcesField, own.length + contentHeader.length + content), own, contentHeader, head]), value: bufferOf(resource.value) };
}

function anyEntry(any: Any): Entry {
  const head = anyHead(any);
  return { head: Buffer.concat([fieldHeader(resourcesField, head.length + any.value.length), head]), value: bufferOf(any.value) };
}

/** An Any up to its value, which is field 2. */
function anyHead({ typeUrl, value }: Any): Buffer {
  return Buffer.concat([bufferOf(Any.encode({ typeUrl, value: noBytes }).finish()), fieldHeader(2, value.length)]);
}
