// Reads MessagePack that someone else wrote, trusting nothing: no length is believed beyond the bytes that are there.

/** Bytes of the arguments, where they lie: valid until the call ends. */
export class Bytes {
  constructor(public at: usize, public size: u32) {}

  /** Any bytes, the invalid parts of UTF-8 replaced. */
  text(): string {
    return String.UTF8.decodeUnsafe(this.at, this.size);
  }
  copy(): Uint8Array {
    const copied = new Uint8Array(this.size);
    memory.copy(copied.dataStart, this.at, this.size);
    return copied;
  }
}

/** Rows of interleaved channels. Formats: 1 gray8, 2 bgr8, 3 rgb8, 4 bgra8, 5 rgba8. */
export class Image {
  constructor(public width: u32, public height: u32, public format: u8, public pixels: Bytes) {}
}

// The tags of one kind of length; 0 where the kind has no such form.
class Lengths {
  constructor(
    public fix: u8, public fixMask: u8, public tag8: u8, public tag16: u8, public tag32: u8, public failure: string
  ) {}
}
const stringForms = new Lengths(0xa0, 0xe0, 0xd9, 0xda, 0xdb, "not a string");
const packedForms = new Lengths(0, 0, 0xc4, 0xc5, 0xc6, "not packed numbers");
const listForms = new Lengths(0x90, 0xf0, 0, 0xdc, 0xdd, "not a list");
const mapForms = new Lengths(0x80, 0xf0, 0, 0xde, 0xdf, "not a map");

export class Reader {
  private end: usize;
  private negative: bool = false; // of the last integer
  /** Empty: none. */
  failure: string = "";

  constructor(private at: usize, size: u32) {
    this.end = at + size;
  }

  /** Makes the reader fail: for what the types do not say. */
  fail(why: string): void {
    if (this.failure.length == 0) this.failure = why;
  }
  private failed(): bool {
    return this.failure.length != 0;
  }
  /** Whether everything was read, and nothing is left. */
  finish(): bool {
    if (this.at != this.end) this.fail("more bytes than the value has");
    return !this.failed();
  }

  // The next tag, which stays; 0xc1, which nothing has, after a failure or at the end.
  private peek(): u8 {
    if (this.at == this.end) this.fail("the bytes end too early");
    return this.failed() ? 0xc1 : load<u8>(this.at);
  }
  private take(size: u64): Bytes {
    if (size > <u64>(this.end - this.at)) this.fail("a length that the bytes cannot back");
    if (this.failed()) return new Bytes(this.at, 0);
    const taken = new Bytes(this.at, <u32>size);
    this.at += <usize>size;
    return taken;
  }
  // The big-endian number behind a tag; takes both.
  private number(width: u32): u64 {
    const bytes = this.take(1 + width);
    let value: u64 = 0;
    for (let i: u32 = 1; i < bytes.size; ++i) value = (value << 8) | load<u8>(bytes.at + i);
    return value;
  }

  private integer(): u64 {
    const tag = this.peek();
    this.negative = false;
    if (tag < 0x80 || tag >= 0xe0) {
      this.take(1);
      this.negative = tag >= 0xe0;
      return <u64>(<i64>(<i8>tag));
    }
    if (tag >= 0xcc && tag <= 0xcf) return this.number(<u32>1 << (tag - 0xcc));
    if (tag >= 0xd0 && tag <= 0xd3) {
      const width = <u32>1 << (tag - 0xd0);
      const unused = <i64>(64 - 8 * width);
      const value = <i64>(this.number(width) << unused) >> unused;
      this.negative = value < 0;
      return <u64>value;
    }
    this.fail("not an integer");
    return 0;
  }
  private signed(least: i64, most: i64): i64 {
    const bits = this.integer();
    if (this.negative ? <i64>bits >= least : bits <= <u64>most) return <i64>bits;
    this.fail("an integer outside of its type's range");
    return 0;
  }
  private unsigned(most: u64): u64 {
    const bits = this.integer();
    if (!this.negative && bits <= most) return bits;
    this.fail("an integer outside of its type's range");
    return 0;
  }

  i8(): i8 {
    return <i8>this.signed(i8.MIN_VALUE, i8.MAX_VALUE);
  }
  i16(): i16 {
    return <i16>this.signed(i16.MIN_VALUE, i16.MAX_VALUE);
  }
  i32(): i32 {
    return <i32>this.signed(i32.MIN_VALUE, i32.MAX_VALUE);
  }
  i64(): i64 {
    return this.signed(i64.MIN_VALUE, i64.MAX_VALUE);
  }
  /** `char` and `std::byte`, too. */
  u8(): u8 {
    return <u8>this.unsigned(u8.MAX_VALUE);
  }
  u16(): u16 {
    return <u16>this.unsigned(u16.MAX_VALUE);
  }
  u32(): u32 {
    return <u32>this.unsigned(u32.MAX_VALUE);
  }
  u64(): u64 {
    return this.unsigned(u64.MAX_VALUE);
  }

  bool(): bool {
    const tag = this.peek();
    if (tag != 0xc2 && tag != 0xc3) {
      this.fail("not a boolean");
      return false;
    }
    this.take(1);
    return tag == 0xc3;
  }

  f32(): f32 {
    if (this.peek() != 0xca) {
      this.fail("not a float of 32 bits");
      return 0;
    }
    return reinterpret<f32>(<u32>this.number(4));
  }
  /** A float of 32 bits, too: it loses nothing. */
  f64(): f64 {
    const tag = this.peek();
    if (tag == 0xca) return this.f32();
    if (tag == 0xcb) return reinterpret<f64>(this.number(8));
    this.fail("not a float");
    return 0;
  }

  // A length, of which the bytes that are there can hold so many times `least` bytes.
  private length(forms: Lengths, least: u32): u32 {
    const tag = this.peek();
    let size: u64 = 0;
    if (forms.fixMask != 0 && (tag & forms.fixMask) == forms.fix) {
      this.take(1);
      size = tag & ~forms.fixMask;
    } else if (forms.tag8 != 0 && tag == forms.tag8) {
      size = this.number(1);
    } else if (tag == forms.tag16) {
      size = this.number(2);
    } else if (tag == forms.tag32) {
      size = this.number(4);
    } else {
      this.fail(forms.failure);
    }
    if (least != 0 && size > <u64>((this.end - this.at) / least)) this.fail("a length that the bytes cannot back");
    return this.failed() ? 0 : <u32>size;
  }

  /** A string, which may be any bytes. */
  string(): Bytes {
    return this.take(this.length(stringForms, 1));
  }
  /** The same as text. */
  text(): string {
    return this.string().text();
  }
  /** A list of numbers of `width` bytes each, little endian and not aligned. */
  packed(width: u32): Bytes {
    const bytes = this.take(this.length(packedForms, 1));
    if (bytes.size % width == 0) return bytes;
    this.fail("bytes that are no whole number of elements");
    return new Bytes(bytes.at, 0);
  }
  /** An array of so many numbers of `width` bytes. */
  packedArray(width: u32, count: u32): Bytes {
    const bytes = this.packed(width);
    if (bytes.size != width * count) this.fail("an array of another length");
    return bytes;
  }
  /** Whether an optional has nothing; takes the nil then. */
  nil(): bool {
    if (this.peek() != 0xc0) return false;
    this.take(1);
    return true;
  }
  /** The number of elements of a list that is not packed, each of at least `least` bytes (1 is always true); they follow. */
  list(least: u32): u32 {
    return this.length(listForms, least);
  }
  /** The number of pairs of a map, each of at least `least` bytes; they follow. */
  map(least: u32): u32 {
    return this.length(mapForms, least);
  }
  /** The begin of a tuple or struct: false unless it has this many members. They follow. */
  members(count: u32): bool {
    if (this.list(0) != count) this.fail("another number of values than there are members");
    return !this.failed();
  }

  image(): Image {
    this.members(4);
    const width = this.u32();
    const height = this.u32();
    const format = this.u8();
    const pixels = this.packed(1);
    const stride = <u64>width * channels(format);
    if (channels(format) == 0) this.fail("an image of an unknown pixel format");
    if (stride == 0 ? pixels.size != 0 : pixels.size % stride != 0 || pixels.size / stride != height)
      this.fail("an image whose pixels do not have its width and height");
    return new Image(width, height, format, pixels);
  }
}

/** Bytes a pixel; 0: there is no such format. */
export function channels(format: u8): u32 {
  switch (format) {
    case 1:
      return 1;
    case 2:
    case 3:
      return 3;
    case 4:
    case 5:
      return 4;
    default:
      return 0;
  }
}
