// forge's ASN.1 layer alone (package.json "imports"): a tenth of the load time and half the memory of the whole package.
import type { asn1 } from 'node-forge';

declare const layer: Omit<typeof asn1, 'fromDer'> & {
  fromDer(bytes: string, options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean; maxDepth: number }): asn1.Asn1;
};
export default layer;
