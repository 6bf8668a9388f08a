export { ignoreConnection, type ByteConnection, type ConnectionSink } from './connection.ts';
export { latin1 } from './latin1.ts';
export { maxClientHelloBytes, readClientHello, type ClientHello } from './inspect/client-hello.ts';
export { maxSniffedLineBytes, readHttpPreface } from './inspect/http-preface.ts';
