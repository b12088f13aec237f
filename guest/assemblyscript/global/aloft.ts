// What the compiler calls where a program cannot go on (an index out of range, a failed assertion): `--use abort=aloftAbort`.
// In scope everywhere.

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function aloftFdWrite(descriptor: u32, vectors: usize, count: u32, written: usize): u32;

const aloftVector = memory.data(12);

/** Writes a line of UTF-8 to a stream: 1 is the output, 2 what is for errors. */
// @ts-ignore: decorator
@global
export function aloftPrint(stream: u32, line: string): void {
  const bytes = String.UTF8.encode(line + "\n");
  store<u32>(aloftVector, changetype<usize>(bytes));
  store<u32>(aloftVector, bytes.byteLength, 4);
  aloftFdWrite(stream, aloftVector, 1, aloftVector + 8); // a host that does not take it is told by the result
}

// @ts-ignore: decorator
@global
export function aloftAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message === null ? "it cannot go on" : message;
  const where = file === null ? "" : " (" + file + ":" + line.toString() + ")";
  aloftPrint(2, "aloft: call aborted: " + what + where);
  unreachable();
}
