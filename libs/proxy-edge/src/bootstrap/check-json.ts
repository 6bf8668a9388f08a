import { jsonToBinary, messageRegistry, typeNameOf } from '@meltemi/api';
import { closest, type FieldError } from '@meltemi/base';

type Message = NonNullable<ReturnType<ReturnType<typeof messageRegistry>['getMessage']>>;
type Field = Message['fields'][number];

const anyName = 'google.protobuf.Any';
/** Messages with a JSON form of their own: checked as one value. */
const wellKnown = /^google\.protobuf\.(?:Duration|Timestamp|FieldMask|Struct|Value|ListValue|\w+Value)$/;
/** Errors listed at most; a file that is no bootstrap at all would give thousands. */
const maxErrors = 50;

/**
 * Checks untyped JSON against a message: unknown fields, unknown types in "@type", values of the wrong kind and oneofs set twice,
 * each with its path as the file writes it. The protobuf reader itself names a message and a field, never the place.
 */
export function checkJson(typeName: string, json: unknown): FieldError[] {
  const message = messageRegistry().getMessage(typeName);
  const errors: FieldError[] = [];
  if (message) checkMessage(message, json, '', errors);
  return errors;
}

function checkMessage(message: Message, json: unknown, path: string, errors: FieldError[]): void {
  if (message.typeName === anyName) return checkAny(json, path, errors);
  if (!isMap(json)) return void errors.push({ path, message: `must be a map of fields of ${message.typeName}` });
  const taken = new Map<string, string>();
  for (const [key, value] of Object.entries(json)) {
    if (errors.length >= maxErrors) return undefined;
    const field = message.fields.find((each) => each.name === key || each.jsonName === key);
    const at = path === '' ? key : `${path}.${key}`;
    if (!field) errors.push({ path: at, message: `is not a field of ${message.typeName}${suggestion(key, message)}` });
    else if (value !== null) {
      const other = field.oneof && taken.get(field.oneof.name);
      if (field.oneof && other !== undefined) errors.push({ path: at, message: `cannot be set beside ${other}: give one of them` });
      if (field.oneof) taken.set(field.oneof.name, key);
      checkField(message, field, { key, value, at }, errors);
    }
  }
  return undefined;
}

function checkField(message: Message, field: Field, { key, value, at }: { key: string; value: unknown; at: string }, errors: FieldError[]): void {
  if (field.fieldKind === 'list') {
    if (!Array.isArray(value)) return void errors.push({ path: at, message: 'must be a list' });
    for (const [index, each] of value.entries()) {
      if (field.listKind === 'message' && !wellKnown.test(field.message.typeName)) checkMessage(field.message, each, `${at}[${index}]`, errors);
      else if (field.listKind === 'enum') checkEnum(field.enum, each, `${at}[${index}]`, errors);
      else checkLeaf(message, { [key]: [each] }, `${at}[${index}]`, errors);
    }
    return undefined;
  }
  if (field.fieldKind === 'map') {
    if (!isMap(value)) return void errors.push({ path: at, message: 'must be a map' });
    for (const [name, each] of Object.entries(value)) {
      if (field.mapKind === 'message' && !wellKnown.test(field.message.typeName)) checkMessage(field.message, each, `${at}[${name}]`, errors);
      else checkLeaf(message, { [key]: { [name]: each } }, `${at}[${name}]`, errors);
    }
    return undefined;
  }
  if (field.fieldKind === 'message' && !wellKnown.test(field.message.typeName)) return checkMessage(field.message, value, at, errors);
  return field.fieldKind === 'enum' ? checkEnum(field.enum, value, at, errors) : checkLeaf(message, { [key]: value }, at, errors);
}

function checkEnum(type: { readonly values: readonly { readonly name: string; readonly number: number }[] }, value: unknown, at: string, errors: FieldError[]): void {
  if (typeof value === 'number' || type.values.some(({ name }) => name === value)) return;
  errors.push({ path: at, message: `${JSON.stringify(value)} is not one of ${type.values.map(({ name }) => name).join(', ')}` });
}

/** Lets the protobuf reader judge one field alone. */
function checkLeaf(message: Message, json: Readonly<Record<string, unknown>>, at: string, errors: FieldError[]): void {
  try {
    jsonToBinary(message.typeName, json);
  } catch (cause) {
    errors.push({ path: at, message: (cause instanceof Error ? cause.message : String(cause)).replace(/^cannot decode (?:field|message) \S+ from JSON: /, '') });
  }
}

function checkAny(json: unknown, path: string, errors: FieldError[]): void {
  const type = isMap(json) ? json['@type'] : undefined;
  if (!isMap(json) || typeof type !== 'string') return void errors.push({ path, message: 'needs "@type": the full type URL of what it holds' });
  const message = messageRegistry().getMessage(typeNameOf(type));
  if (!message) return void errors.push({ path, message: `${typeNameOf(type)} is not supported by this proxy` });
  const { '@type': _type, ...fields } = json;
  if (wellKnown.test(message.typeName)) return undefined;
  return checkMessage(message, fields, path, errors);
}

/** The field that was probably meant. */
function suggestion(key: string, message: Message): string {
  const near = closest(key, message.fields.map(({ name }) => name));
  return near === undefined ? '' : `: did you mean ${near}?`;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
