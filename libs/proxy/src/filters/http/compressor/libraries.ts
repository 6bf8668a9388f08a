import { constants, createBrotliCompress, createGzip, createZstdCompress, type BrotliOptions, type ZlibOptions, type ZstdOptions } from 'node:zlib';
import { fail, ok, type Result } from '@meltemi/base';
import { Brotli } from '@meltemi/api/gen/envoy/extensions/compression/brotli/compressor/v3/brotli.ts';
import { Gzip as GzipMessage } from '@meltemi/api/gen/envoy/extensions/compression/gzip/compressor/v3/gzip.ts';
import { Zstd } from '@meltemi/api/gen/envoy/extensions/compression/zstd/compressor/v3/zstd.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import type { Coder } from '../body-coder.ts';

/** One compression library with its settings. */
export interface CompressorLibrary {
  /** The name in content-encoding. */
  readonly encoding: 'gzip' | 'br' | 'zstd';
  /** Name in statistics: the extension's and the library's own. */
  readonly statName: string;
  readonly options: ZlibOptions & BrotliOptions & ZstdOptions;
  /** What ends a part so that the client can read all of it. */
  readonly flush: number;
}

export function createEncoder({ encoding, options }: CompressorLibrary): Coder {
  return encoding === 'gzip' ? createGzip(options) : encoding === 'br' ? createBrotliCompress(options) : createZstdCompress(options);
}

const defaultChunkBytes = 4096;
const prefix = 'type.googleapis.com/envoy.extensions.compression.';

/** Reads compressor_library: Envoy's gzip, brotli and zstd, whose defaults these are. */
export function compileLibrary(extension: TypedExtensionConfig | undefined, path: string): Result<CompressorLibrary> {
  const any = extension?.typedConfig;
  if (extension === undefined || any === undefined) return fail(path, 'is required');
  const at = `${path}.typed_config`;
  switch (any.typeUrl) {
    case `${prefix}gzip.compressor.v3.Gzip`:
      return gzip(GzipMessage.decode(any.value), extension.name, at);
    case `${prefix}brotli.compressor.v3.Brotli`:
      return brotli(Brotli.decode(any.value), extension.name, at);
    case `${prefix}zstd.compressor.v3.Zstd`:
      return zstd(Zstd.decode(any.value), extension.name, at);
    default:
      return fail(at, `${any.typeUrl} is not a compression library of this proxy: use gzip, brotli or zstd`);
  }
}

function gzip(message: GzipMessage, name: string, path: string): Result<CompressorLibrary> {
  const settings = {
    level: message.compressionLevel || constants.Z_DEFAULT_COMPRESSION, memLevel: message.memoryLevel ?? 5, strategy: message.compressionStrategy,
    windowBits: message.windowBits ?? 12, chunkSize: message.chunkSize ?? defaultChunkBytes,
  };
  const wrong = outside(path, ['memory_level', settings.memLevel, 1, 9], ['window_bits', settings.windowBits, 9, 15], ['chunk_size', settings.chunkSize, 4096, 65_536], ['compression_level', message.compressionLevel, 0, 9], ['compression_strategy', settings.strategy, 0, 4]);
  return wrong ?? ok({ encoding: 'gzip', statName: `${name}.gzip`, options: settings, flush: constants.Z_SYNC_FLUSH });
}

function brotli(message: Brotli, name: string, path: string): Result<CompressorLibrary> {
  const settings = {
    quality: message.quality ?? 3, mode: [0, constants.BROTLI_MODE_GENERIC, constants.BROTLI_MODE_TEXT, constants.BROTLI_MODE_FONT][message.encoderMode] ?? 0,
    windowBits: message.windowBits ?? 18, inputBlockBits: message.inputBlockBits ?? 24, chunkSize: message.chunkSize ?? defaultChunkBytes, plainLiterals: message.disableLiteralContextModeling ? 1 : 0,
  };
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: settings.quality, [constants.BROTLI_PARAM_MODE]: settings.mode, [constants.BROTLI_PARAM_LGWIN]: settings.windowBits,
    [constants.BROTLI_PARAM_LGBLOCK]: settings.inputBlockBits, [constants.BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING]: settings.plainLiterals,
  };
  const wrong = outside(path, ['quality', settings.quality, 0, 11], ['window_bits', settings.windowBits, 10, 24], ['input_block_bits', settings.inputBlockBits, 16, 24], ['chunk_size', settings.chunkSize, 4096, 65_536], ['encoder_mode', message.encoderMode, 0, 3]);
  return wrong ?? ok({ encoding: 'br', statName: `${name}.brotli`, options: { params, chunkSize: settings.chunkSize }, flush: constants.BROTLI_OPERATION_FLUSH });
}

function zstd(message: Zstd, name: string, path: string): Result<CompressorLibrary> {
  if (message.dictionary !== undefined) return fail(`${path}.dictionary`, 'zstd dictionaries are not supported');
  const settings = { level: message.compressionLevel || 3, checksum: message.enableChecksum ? 1 : 0, strategy: message.strategy, chunkSize: message.chunkSize ?? defaultChunkBytes };
  const params = {
    [constants.ZSTD_c_compressionLevel]: settings.level, [constants.ZSTD_c_checksumFlag]: settings.checksum,
    ...(settings.strategy === 0 ? {} : { [constants.ZSTD_c_strategy]: settings.strategy }),
  };
  const wrong = outside(path, ['compression_level', settings.level, 1, 22], ['strategy', settings.strategy, 0, 9], ['chunk_size', settings.chunkSize, 4096, 65_536]);
  return wrong ?? ok({ encoding: 'zstd', statName: `${name}.zstd`, options: { params, chunkSize: settings.chunkSize }, flush: constants.ZSTD_e_flush });
}

function outside(path: string, ...values: readonly (readonly [string, number, number, number])[]): Result<never> | null {
  const wrong = values.find(([, value, least, most]) => value < least || value > most);
  return wrong === undefined ? null : fail(`${path}.${wrong[0]}`, `${wrong[1]} is not between ${wrong[2]} and ${wrong[3]}`);
}
