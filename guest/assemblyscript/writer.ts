// Writes MessagePack in its shortest forms, into memory that is not collected: the host reads it after the call.

import { channels } from "./reader";

export class Writer {
  private data: usize = 0;
  private size: u32 = 0;
  private capacity: u32 = 0;

  // Room for so many bytes.
  private room(size: u32): usize {
    if (this.capacity - this.size < size) {
      const wanted = <u64>this.size + size;
      assert(wanted <= 0x7fffffff, "out of memory");
      this.capacity = max<u32>(max<u32>(64, this.capacity * 2), <u32>wanted);
      this.data = this.data == 0 ? heap.alloc(this.capacity) : heap.realloc(this.data, this.capacity);
    }
    const at = this.data + this.size;
    this.size += size;
    return at;
  }
  private byte(value: u8): void {
    store<u8>(this.room(1), value);
  }
  // A tag and the big-endian number behind it.
  private tagged(tag: u8, width: u32, value: u64): void {
    const at = this.room(1 + width);
    store<u8>(at, tag);
    for (let i = width; i > 0; --i) {
      store<u8>(at + i, <u8>value);
      value >>= 8;
    }
  }

  nil(): void {
    this.byte(0xc0);
  }
  bool(value: bool): void {
    this.byte(value ? 0xc3 : 0xc2);
  }
  /** Every unsigned integer, `char` and `std::byte`. */
  unsigned(value: u64): void {
    if (value < 0x80) this.byte(<u8>value);
    else if (value <= 0xff) this.tagged(0xcc, 1, value);
    else if (value <= 0xffff) this.tagged(0xcd, 2, value);
    else if (value <= 0xffffffff) this.tagged(0xce, 4, value);
    else this.tagged(0xcf, 8, value);
  }
  /** Every signed integer, and enumerations of one. */
  signed(value: i64): void {
    if (value >= 0) this.unsigned(<u64>value);
    else if (value >= -32) this.byte(<u8>value);
    else if (value >= i8.MIN_VALUE) this.tagged(0xd0, 1, <u64>value);
    else if (value >= i16.MIN_VALUE) this.tagged(0xd1, 2, <u64>value);
    else if (value >= i32.MIN_VALUE) this.tagged(0xd2, 4, <u64>value);
    else this.tagged(0xd3, 8, <u64>value);
  }
  f32(value: f32): void {
    this.tagged(0xca, 4, reinterpret<u32>(value));
  }
  f64(value: f64): void {
    this.tagged(0xcb, 8, reinterpret<u64>(value));
  }

  // A length in the shortest form that its kind has; 0: it has none of that.
  private length(size: u32, fix: u8, fixBelow: u32, tag8: u8, tag16: u8, tag32: u8): void {
    if (size < fixBelow) this.byte(fix | <u8>size);
    else if (size <= 0xff && tag8 != 0) this.tagged(tag8, 1, size);
    else if (size <= 0xffff) this.tagged(tag16, 2, size);
    else this.tagged(tag32, 4, size);
  }
  /** A string of so many bytes: where they go, valid until the next call that writes. */
  string(size: u32): usize {
    this.length(size, 0xa0, 32, 0xd9, 0xda, 0xdb);
    return this.room(size);
  }
  /** A string of these bytes. */
  bytes(bytes: Uint8Array): void {
    memory.copy(this.string(bytes.length), bytes.dataStart, bytes.length);
  }
  text(text: string): void {
    const bytes = String.UTF8.encode(text);
    memory.copy(this.string(bytes.byteLength), changetype<usize>(bytes), bytes.byteLength);
  }
  /** A list or array of numbers of so many bytes: where they go, little endian. */
  packed(size: u32): usize {
    this.length(size, 0, 0, 0xc4, 0xc5, 0xc6);
    return this.room(size);
  }
  /** The begin of a list that is not packed, of a tuple or struct; its values follow. */
  list(count: u32): void {
    this.length(count, 0x90, 16, 0, 0xdc, 0xdd);
  }
  /** The begin of a map; its pairs follow, in the order of the keys. */
  map(count: u32): void {
    this.length(count, 0x80, 16, 0, 0xde, 0xdf);
  }
  /** An image: where its pixels go. */
  image(width: u32, height: u32, format: u8): usize {
    this.list(4);
    this.unsigned(width);
    this.unsigned(height);
    this.unsigned(format);
    const size = <u64>width * channels(format) * height;
    assert(size <= 0x7fffffff, "out of memory");
    return this.packed(<u32>size);
  }

  /** The descriptor of what was written: of one segment. The host gives it back by release(). */
  reply(): usize {
    const descriptor = heap.alloc(12);
    store<u32>(descriptor, 1);
    store<u32>(descriptor, this.data, 4);
    store<u32>(descriptor, this.size, 8);
    return descriptor;
  }
  /** Frees what was written, in place of reply(). */
  discard(): void {
    if (this.data != 0) heap.free(this.data);
    this.data = 0;
    this.size = this.capacity = 0;
  }
}

/** Frees a reply. */
export function release(descriptor: usize): void {
  const data = load<u32>(descriptor, 4);
  if (data != 0) heap.free(data);
  heap.free(descriptor);
}
