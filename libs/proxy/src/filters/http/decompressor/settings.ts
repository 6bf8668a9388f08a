import { constants, createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { err, fail, ok, type Result } from '@meltemi/base';
import { Brotli } from '@meltemi/api/gen/envoy/extensions/compression/brotli/decompressor/v3/brotli.ts';
import { Gzip } from '@meltemi/api/gen/envoy/extensions/compression/gzip/decompressor/v3/gzip.ts';
import { Zstd } from '@meltemi/api/gen/envoy/extensions/compression/zstd/decompressor/v3/zstd.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import { Decompressor, type Decompressor_CommonDirectionConfig } from '@meltemi/api/gen/envoy/extensions/filters/http/decompressor/v3/decompressor.ts';
import { Report, use, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { checkSettings } from '../../check-settings.ts';
import type { Coder } from '../body-coder.ts';

/** One decompression library with its settings. */
export interface DecompressorLibrary {
  readonly encoding: 'gzip' | 'br' | 'zstd';
  /** Name in statistics: the extension's and the library's own. */
  readonly statName: string;
  readonly options: { readonly windowBits?: number; readonly chunkSize: number };
  /** How many bytes one may become before it is taken for a bomb. */
  readonly maxRatio: number;
  readonly flush: number;
}

export interface DirectionConfig {
  readonly enabled: boolean;
  readonly ignoreNoTransform: boolean;
}

export interface DecompressorConfig {
  readonly library: DecompressorLibrary;
  readonly request: DirectionConfig;
  readonly response: DirectionConfig;
  /** Tells upstreams that they may compress. */
  readonly advertise: boolean;
}

const settings: FieldTable<Decompressor> = { decompressorLibrary: use, requestDirectionConfig: use, responseDirectionConfig: use };

export function parseDecompressor(bytes: Uint8Array, ctx: ParseContext): Result<DecompressorConfig> {
  const message = Decompressor.decode(bytes);
  const report = new Report();
  report.errors.push(...checkSettings(message, settings, ctx));
  const library = report.take(compileLibrary(message.decompressorLibrary, `${ctx.path}.decompressor_library`), null);
  if (report.errors.length > 0 || library === null) return err(report.errors);
  return ok({ library, request: direction(message.requestDirectionConfig?.commonConfig), response: direction(message.responseDirectionConfig?.commonConfig), advertise: message.requestDirectionConfig?.advertiseAcceptEncoding ?? true });
}

function direction(common: Decompressor_CommonDirectionConfig | undefined): DirectionConfig {
  return { enabled: common?.enabled?.defaultValue ?? true, ignoreNoTransform: common?.ignoreNoTransformHeader ?? false };
}

const defaultMaxRatio = 100;
const defaultChunkBytes = 4096;
const prefix = 'type.googleapis.com/envoy.extensions.compression.';

function compileLibrary(extension: TypedExtensionConfig | undefined, path: string): Result<DecompressorLibrary> {
  const any = extension?.typedConfig;
  if (extension === undefined || any === undefined) return fail(path, 'is required');
  const at = `${path}.typed_config`;
  switch (any.typeUrl) {
    case `${prefix}gzip.decompressor.v3.Gzip`: {
      const { windowBits = 15, chunkSize = defaultChunkBytes, maxInflateRatio = defaultMaxRatio } = Gzip.decode(any.value);
      if (windowBits < 9 || windowBits > 15) return fail(`${at}.window_bits`, `${windowBits} is not between 9 and 15`);
      if (maxInflateRatio < 1 || maxInflateRatio > 1032) return fail(`${at}.max_inflate_ratio`, `${maxInflateRatio} is not between 1 and 1032`);
      return chunked({ encoding: 'gzip', statName: `${extension.name}.gzip`, options: { windowBits, chunkSize }, maxRatio: maxInflateRatio, flush: constants.Z_SYNC_FLUSH }, at);
    }
    case `${prefix}brotli.decompressor.v3.Brotli`: {
      const { chunkSize = defaultChunkBytes } = Brotli.decode(any.value);
      return chunked({ encoding: 'br', statName: `${extension.name}.brotli`, options: { chunkSize }, maxRatio: defaultMaxRatio, flush: constants.BROTLI_OPERATION_FLUSH }, at);
    }
    case `${prefix}zstd.decompressor.v3.Zstd`: {
      const { chunkSize = defaultChunkBytes, dictionaries } = Zstd.decode(any.value);
      if (dictionaries.length > 0) return fail(`${at}.dictionaries`, 'zstd dictionaries are not supported');
      return chunked({ encoding: 'zstd', statName: `${extension.name}.zstd`, options: { chunkSize }, maxRatio: defaultMaxRatio, flush: constants.ZSTD_e_flush }, at);
    }
    default:
      return fail(at, `${any.typeUrl} is not a decompression library of this proxy: use gzip, brotli or zstd`);
  }
}

function chunked(library: DecompressorLibrary, path: string): Result<DecompressorLibrary> {
  const { chunkSize } = library.options;
  return chunkSize >= 4096 && chunkSize <= 65_536 ? ok(library) : fail(`${path}.chunk_size`, `${chunkSize} is not between 4096 and 65536`);
}

export function createDecoder({ encoding, options }: DecompressorLibrary): Coder {
  return encoding === 'gzip' ? createGunzip(options) : encoding === 'br' ? createBrotliDecompress(options) : createZstdDecompress(options);
}
