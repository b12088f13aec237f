// The guest SDK for AssemblyScript: what a module in AssemblyScript is made of. docs/languages.md says how it is built and
// sealed, docs/guest-abi.md what goes on underneath.
//
//   import { Call } from "aloft";
//   export * from "aloft/exports";
//
//   // ALOFT_OFFLOAD double demo::scaled(double value, std::string_view unit);
//   export function demo_scaled(at: usize, size: u32): usize {
//     const call = new Call("demo_scaled", at, size, 2);
//     const value = call.in.f64();
//     const unit = call.in.text();
//     if (call.decoded()) call.out.f64(value * factorOf(unit));
//     return call.end();
//   }
//
// The name is the function's qualified one with "_" for "::"; the number is that of its parameters. A reader's first failure
// is kept: what is read after it is zero or empty, and the caller is told that its arguments were none.

import { Reader } from "./reader";
import { Writer } from "./writer";

export { Bytes, Image, Reader } from "./reader";
export { Writer } from "./writer";

/** Says why, and ends the call: its caller gets the error `trapped`, and the message is in its log. */
export function abortCall(message: string): void {
  aloftPrint(2, "aloft: call aborted: " + message);
  unreachable();
}

/** A line on standard output, which is in the caller's log. */
export function print(line: string): void {
  aloftPrint(1, line);
}

/** One call: its arguments, its result. */
export class Call {
  in: Reader;
  out: Writer = new Writer();

  constructor(private name: string, at: usize, size: u32, parameters: u32) {
    this.in = new Reader(at, size);
    this.in.members(parameters);
  }

  /** Whether everything was read, and nothing is left. From here on the values can be trusted. */
  decoded(): bool {
    return this.in.finish();
  }

  /** What the export answers. */
  end(): usize {
    if (this.decoded()) return this.out.reply();
    aloftPrint(2, "aloft: the arguments of " + this.name + " do not decode: " + this.in.failure);
    this.out.discard();
    return 0;
  }
}

/** A class of the module, whose objects are of one type: derive from it, and register it. */
export abstract class ObjectClass {
  constructor(public name: string, public fields: u32) {}
  abstract make(): Object;
  /** Writes the fields that ALOFT_STATE names, in that order. */
  abstract save(object: Object, out: Writer): void;
  /** Reads them into this fresh object. */
  abstract load(object: Object, reader: Reader): void;
}

const classes = new Array<ObjectClass>();
let objectClass: ObjectClass | null = null;
let object: Object | null = null;

/** The module's classes, in the order in which the interface declares them. */
export function register(made: ObjectClass): void {
  classes.push(made);
}

/** The instance's object, if it is one of T; a method's export answers 0 without one. */
export function current<T extends Object>(): T | null {
  const held = object;
  return held !== null && held instanceof T ? <T>held : null;
}

export function makeObject(index: u32): u32 {
  if (index >= <u32>classes.length) return 0;
  const from = classes[index];
  objectClass = from;
  object = from.make();
  return 1;
}

export function saveState(): usize {
  const from = objectClass;
  const held = object;
  if (from === null || held === null) return 0;
  const out = new Writer();
  out.list(from.fields);
  from.save(held, out);
  return out.reply();
}

export function loadState(at: usize, size: u32): u32 {
  const from = objectClass;
  if (from === null) return 0;
  const reader = new Reader(at, size);
  const loaded = from.make();
  if (reader.members(from.fields)) from.load(loaded, reader);
  if (reader.finish()) {
    object = loaded;
    return 1;
  }
  aloftPrint(2, "aloft: this is no state of " + from.name + ": " + reader.failure);
  return 0;
}
