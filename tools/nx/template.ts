import { readFileSync } from 'node:fs';

/** A file of templates/ with every `__key__` replaced. Throws on a key that nobody gave. Templates are not .ts files, so that no check takes them for code. */
export function template(file: string, values: Readonly<Record<string, string>>): string {
  const text = readFileSync(new URL(`./templates/${file}.template`, import.meta.url), 'utf8');
  return text.replaceAll(/__([a-z]+)__/g, (whole, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`templates/${file}.template uses ${whole}, which its generator does not give`);
    return value;
  });
}
