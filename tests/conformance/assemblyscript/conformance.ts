// The conformance guest in AssemblyScript.

import { abortCall, Bytes, Call, current, ObjectClass, print, Reader, register, Writer } from "assemblyscript/aloft";
import { Context } from "assemblyscript/nn";
export * from "assemblyscript/exports";

export function conformance_invert(at: usize, size: u32): usize {
  const call = new Call("conformance_invert", at, size, 1);
  const value = call.in.bool();
  if (call.decoded()) call.out.bool(!value);
  return call.end();
}

export function conformance_next_i8(at: usize, size: u32): usize {
  const call = new Call("conformance_next_i8", at, size, 1);
  const value = call.in.i8();
  if (call.decoded()) call.out.signed(<i8>(value + 1));
  return call.end();
}
export function conformance_next_i16(at: usize, size: u32): usize {
  const call = new Call("conformance_next_i16", at, size, 1);
  const value = call.in.i16();
  if (call.decoded()) call.out.signed(<i16>(value + 1));
  return call.end();
}
export function conformance_next_i32(at: usize, size: u32): usize {
  const call = new Call("conformance_next_i32", at, size, 1);
  const value = call.in.i32();
  if (call.decoded()) call.out.signed(value + 1);
  return call.end();
}
export function conformance_next_i64(at: usize, size: u32): usize {
  const call = new Call("conformance_next_i64", at, size, 1);
  const value = call.in.i64();
  if (call.decoded()) call.out.signed(value + 1);
  return call.end();
}
export function conformance_next_u8(at: usize, size: u32): usize {
  const call = new Call("conformance_next_u8", at, size, 1);
  const value = call.in.u8();
  if (call.decoded()) call.out.unsigned(<u8>(value + 1));
  return call.end();
}
export function conformance_next_u16(at: usize, size: u32): usize {
  const call = new Call("conformance_next_u16", at, size, 1);
  const value = call.in.u16();
  if (call.decoded()) call.out.unsigned(<u16>(value + 1));
  return call.end();
}
export function conformance_next_u32(at: usize, size: u32): usize {
  const call = new Call("conformance_next_u32", at, size, 1);
  const value = call.in.u32();
  if (call.decoded()) call.out.unsigned(value + 1);
  return call.end();
}
export function conformance_next_u64(at: usize, size: u32): usize {
  const call = new Call("conformance_next_u64", at, size, 1);
  const value = call.in.u64();
  if (call.decoded()) call.out.unsigned(value + 1);
  return call.end();
}
export function conformance_next_char(at: usize, size: u32): usize {
  const call = new Call("conformance_next_char", at, size, 1);
  const value = call.in.u8();
  if (call.decoded()) call.out.unsigned(<u8>(value + 1));
  return call.end();
}
export function conformance_complement(at: usize, size: u32): usize {
  const call = new Call("conformance_complement", at, size, 1);
  const value = call.in.u8();
  if (call.decoded()) call.out.unsigned(<u8>~value);
  return call.end();
}

export function conformance_half_f32(at: usize, size: u32): usize {
  const call = new Call("conformance_half_f32", at, size, 1);
  const value = call.in.f32();
  if (call.decoded()) call.out.f32(value * 0.5);
  return call.end();
}
export function conformance_half_f64(at: usize, size: u32): usize {
  const call = new Call("conformance_half_f64", at, size, 1);
  const value = call.in.f64();
  if (call.decoded()) call.out.f64(value * 0.5);
  return call.end();
}

export function conformance_following(at: usize, size: u32): usize {
  const call = new Call("conformance_following", at, size, 1);
  const colour = call.in.i16();
  if (call.decoded()) {
    if (colour == -1) call.out.signed(0);
    else if (colour == 0) call.out.signed(300);
    else if (colour == 300) call.out.signed(-1);
    else abortCall("no such colour");
  }
  return call.end();
}

function reverse(from: Bytes, to: usize): void {
  for (let i: u32 = 0; i < from.size; ++i) store<u8>(to + i, load<u8>(from.at + (from.size - 1 - i)));
}

export function conformance_reversed(at: usize, size: u32): usize {
  const call = new Call("conformance_reversed", at, size, 1);
  const text = call.in.string();
  if (call.decoded()) reverse(text, call.out.string(text.size));
  return call.end();
}
export function conformance_reversed_bytes(at: usize, size: u32): usize {
  const call = new Call("conformance_reversed_bytes", at, size, 1);
  const bytes = call.in.packed(1);
  if (call.decoded()) reverse(bytes, call.out.packed(bytes.size));
  return call.end();
}

export function conformance_sums(at: usize, size: u32): usize {
  const call = new Call("conformance_sums", at, size, 1);
  const numbers = call.in.packed(4);
  if (call.decoded()) {
    const sums = call.out.packed(numbers.size);
    let sum: i32 = 0;
    for (let i: u32 = 0; i < numbers.size; i += 4) {
      sum += load<i32>(numbers.at + i);
      store<i32>(sums + i, sum);
    }
  }
  return call.end();
}
export function conformance_halves(at: usize, size: u32): usize {
  const call = new Call("conformance_halves", at, size, 1);
  const numbers = call.in.packed(8);
  if (call.decoded()) {
    const halves = call.out.packed(numbers.size);
    for (let i: u32 = 0; i < numbers.size; i += 8) store<f64>(halves + i, load<f64>(numbers.at + i) * 0.5);
  }
  return call.end();
}

export function conformance_backwards(at: usize, size: u32): usize {
  const call = new Call("conformance_backwards", at, size, 1);
  const words = new Array<Bytes>();
  for (let count = call.in.list(1); count > 0; --count) words.push(call.in.string());
  if (call.decoded()) {
    call.out.list(words.length);
    for (let i = words.length - 1; i >= 0; --i) memory.copy(call.out.string(words[i].size), words[i].at, words[i].size);
  }
  return call.end();
}

export function conformance_rotated(at: usize, size: u32): usize {
  const call = new Call("conformance_rotated", at, size, 1);
  const numbers = call.in.packedArray(4, 3);
  if (call.decoded()) {
    const rotated = call.out.packed(12);
    store<f32>(rotated, load<f32>(numbers.at, 4));
    store<f32>(rotated, load<f32>(numbers.at, 8), 4);
    store<f32>(rotated, load<f32>(numbers.at), 8);
  }
  return call.end();
}

export function conformance_opposite(at: usize, size: u32): usize {
  const call = new Call("conformance_opposite", at, size, 1);
  const nothing = call.in.nil();
  const value = nothing ? 0 : call.in.i32();
  if (call.decoded()) {
    if (!nothing && value == 0) call.out.nil();
    else call.out.signed(-value);
  }
  return call.end();
}

export function conformance_swapped(at: usize, size: u32): usize {
  const call = new Call("conformance_swapped", at, size, 1);
  call.in.members(2);
  const number = call.in.i32();
  const text = call.in.string();
  if (call.decoded()) {
    call.out.list(2);
    memory.copy(call.out.string(text.size), text.at, text.size);
    call.out.signed(number);
  }
  return call.end();
}

class Pair {
  constructor(public key: Bytes, public value: i64) {}
}

function byKey(a: Pair, b: Pair): i32 {
  const order = memory.compare(a.key.at, b.key.at, min(a.key.size, b.key.size));
  return order != 0 ? order : <i32>(a.key.size > b.key.size) - <i32>(a.key.size < b.key.size);
}

export function conformance_doubled(at: usize, size: u32): usize {
  const call = new Call("conformance_doubled", at, size, 1);
  const pairs = new Array<Pair>();
  for (let count = call.in.map(2); count > 0; --count) {
    const key = call.in.string();
    pairs.push(new Pair(key, call.in.i64()));
  }
  pairs.sort(byKey);
  for (let i = 1; i < pairs.length; ++i) {
    if (byKey(pairs[i - 1], pairs[i]) == 0) call.in.fail("a key that was there before");
  }
  if (call.decoded()) {
    call.out.map(pairs.length);
    for (let i = 0; i < pairs.length; ++i) {
      const key = pairs[i].key;
      memory.copy(call.out.string(key.size), key.at, key.size);
      call.out.signed(pairs[i].value * 2);
    }
  }
  return call.end();
}

class Point {
  constructor(public x: f32, public y: f32) {}
}
function readPoint(reader: Reader): Point {
  reader.members(2);
  const x = reader.f32();
  return new Point(x, reader.f32());
}
function writePoint(out: Writer, point: Point): void {
  out.list(2);
  out.f32(point.x);
  out.f32(point.y);
}

export function conformance_moved(at: usize, size: u32): usize {
  const call = new Call("conformance_moved", at, size, 2);
  const reader = call.in;
  reader.members(5);
  const id = reader.u64();
  const label = reader.string();
  const here = readPoint(reader);
  const path = new Array<Point>();
  for (let count = reader.list(11); count > 0; --count) path.push(readPoint(reader));
  const still = reader.nil();
  const speed = still ? 0.0 : reader.f64();
  const by = readPoint(reader);
  if (call.decoded()) {
    const out = call.out;
    out.list(5);
    out.unsigned(id);
    memory.copy(out.string(label.size), label.at, label.size);
    writePoint(out, new Point(here.x + by.x, here.y + by.y));
    path.push(here);
    out.list(path.length);
    for (let i = 0; i < path.length; ++i) writePoint(out, path[i]);
    if (still) out.nil();
    else out.f64(speed);
  }
  return call.end();
}

export function conformance_negative(at: usize, size: u32): usize {
  const call = new Call("conformance_negative", at, size, 1);
  const image = call.in.image();
  if (call.decoded()) {
    const pixels = call.out.image(image.width, image.height, image.format);
    for (let i: u32 = 0; i < image.pixels.size; ++i) store<u8>(pixels + i, 255 - load<u8>(image.pixels.at + i));
  }
  return call.end();
}

export function conformance_language(at: usize, size: u32): usize {
  const call = new Call("conformance_language", at, size, 0);
  if (call.decoded()) call.out.text("assemblyscript");
  return call.end();
}

export function conformance_say(at: usize, size: u32): usize {
  const call = new Call("conformance_say", at, size, 1);
  const text = call.in.text();
  if (call.decoded()) {
    print(text);
    call.out.nil();
  }
  return call.end();
}

export function conformance_give_up(at: usize, size: u32): usize {
  const call = new Call("conformance_give_up", at, size, 1);
  const message = call.in.text();
  if (call.decoded()) abortCall(message);
  return call.end();
}

export function conformance_quotient(at: usize, size: u32): usize {
  const call = new Call("conformance_quotient", at, size, 2);
  const number = call.in.i32();
  const divisor = call.in.i32();
  if (call.decoded()) call.out.signed(number / divisor);
  return call.end();
}

let state: u32 = 0;

export function conformance_spin(at: usize, size: u32): usize {
  const call = new Call("conformance_spin", at, size, 1);
  state = call.in.u32();
  while (call.decoded()) ++state;
  return call.end();
}

const hoard = new Array<Uint8Array>();

export function conformance_hoard(at: usize, size: u32): usize {
  const call = new Call("conformance_hoard", at, size, 1);
  const piece = call.in.u32();
  while (call.decoded()) hoard.push(new Uint8Array(piece));
  return call.end();
}

function fallFrom(depth: u32): u32 {
  return fallFrom(depth + 1) + depth;
}

export function conformance_fall(at: usize, size: u32): usize {
  const call = new Call("conformance_fall", at, size, 1);
  const depth = call.in.u32();
  if (call.decoded()) call.out.unsigned(fallFrom(depth));
  return call.end();
}

let network: Context | null = null;

export function conformance_infer(at: usize, size: u32): usize {
  const call = new Call("conformance_infer", at, size, 1);
  const number = call.in.f32();
  if (call.decoded()) {
    let context = network;
    if (context === null) network = context = new Context("doubling");
    const result: StaticArray<f32> = [0];
    if (context.error == 0) context.infer([1], [number], result);
    if (context.error != 0) abortCall("wasi-nn answered " + context.error.toString());
    call.out.f32(result[0]);
  }
  return call.end();
}

class Notebook {
  lines: Array<Uint8Array> = [];
  weight: i64 = 0;
}

class NotebookClass extends ObjectClass {
  constructor() {
    super("conformance::Notebook", 2);
  }
  make(): Object {
    return new Notebook();
  }
  save(object: Object, out: Writer): void {
    const notebook = <Notebook>object;
    out.list(notebook.lines.length);
    for (let i = 0; i < notebook.lines.length; ++i) out.bytes(notebook.lines[i]);
    out.signed(notebook.weight);
  }
  load(object: Object, reader: Reader): void {
    const notebook = <Notebook>object;
    for (let count = reader.list(1); count > 0; --count) notebook.lines.push(reader.string().copy());
    notebook.weight = reader.i64();
  }
}
register(new NotebookClass());

export function conformance_Notebook_write(at: usize, size: u32): usize {
  const notebook = current<Notebook>();
  if (notebook === null) return 0;
  const call = new Call("conformance_Notebook_write", at, size, 2);
  const line = call.in.string();
  const weight = call.in.i64();
  if (call.decoded()) {
    notebook.lines.push(line.copy());
    notebook.weight += weight;
    call.out.unsigned(notebook.lines.length);
  }
  return call.end();
}
export function conformance_Notebook_weight(at: usize, size: u32): usize {
  const notebook = current<Notebook>();
  if (notebook === null) return 0;
  const call = new Call("conformance_Notebook_weight", at, size, 0);
  if (call.decoded()) call.out.signed(notebook.weight);
  return call.end();
}
export function conformance_Notebook_line(at: usize, size: u32): usize {
  const notebook = current<Notebook>();
  if (notebook === null) return 0;
  const call = new Call("conformance_Notebook_line", at, size, 1);
  const number = call.in.u32();
  if (call.decoded()) {
    if (number >= <u32>notebook.lines.length) abortCall("no such line");
    call.out.bytes(notebook.lines[number]);
  }
  return call.end();
}
export function conformance_Notebook_clear(at: usize, size: u32): usize {
  const notebook = current<Notebook>();
  if (notebook === null) return 0;
  const call = new Call("conformance_Notebook_clear", at, size, 0);
  if (call.decoded()) {
    notebook.lines = [];
    notebook.weight = 0;
    call.out.nil();
  }
  return call.end();
}
