//! Reads MessagePack that someone else wrote, trusting nothing: no length is believed beyond the bytes that are there.

use crate::{channels, Image, Text, TextBuf};
use std::collections::BTreeMap;

/// The bytes that are being read. The first failure is kept.
pub struct Reader<'a> {
    rest: &'a [u8],
    failure: Option<&'static str>,
}

/// What can be an argument.
pub trait Decode<'a>: Sized {
    /// The least number of bytes that a value takes.
    const MIN_BYTES: usize = 1;
    /// Nothing, with the reader's failure set, where the bytes are no such value.
    fn decode(reader: &mut Reader<'a>) -> Option<Self>;
    /// A list of such values.
    fn decode_list(reader: &mut Reader<'a>) -> Option<Vec<Self>> {
        let count = reader.list(Self::MIN_BYTES)?;
        (0..count).map(|_| Self::decode(reader)).collect()
    }
}

// The tags of one kind of length; 0 where the kind has no such form.
struct Lengths {
    fix: u8,
    fix_mask: u8,
    tag8: u8,
    tag16: u8,
    tag32: u8,
    failure: &'static str,
}
const STRING: Lengths =
    Lengths { fix: 0xa0, fix_mask: 0xe0, tag8: 0xd9, tag16: 0xda, tag32: 0xdb, failure: "not a string" };
const PACKED: Lengths =
    Lengths { fix: 0, fix_mask: 0, tag8: 0xc4, tag16: 0xc5, tag32: 0xc6, failure: "not packed numbers" };
const LIST: Lengths = Lengths { fix: 0x90, fix_mask: 0xf0, tag8: 0, tag16: 0xdc, tag32: 0xdd, failure: "not a list" };
const MAP: Lengths = Lengths { fix: 0x80, fix_mask: 0xf0, tag8: 0, tag16: 0xde, tag32: 0xdf, failure: "not a map" };

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, failure: None }
    }
    pub fn failure(&self) -> Option<&'static str> {
        self.failure
    }
    /// Notes the failure, and answers nothing.
    pub fn fail<T>(&mut self, why: &'static str) -> Option<T> {
        self.failure.get_or_insert(why);
        None
    }

    fn peek(&mut self) -> Option<u8> {
        match self.rest.first() {
            Some(tag) => Some(*tag),
            None => self.fail("the bytes end too early"),
        }
    }
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        if size > self.rest.len() {
            return self.fail("a length that the bytes cannot back");
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Some(taken)
    }
    // The big-endian number behind a tag; takes both.
    fn number(&mut self, width: usize) -> Option<u64> {
        let bytes = self.take(1 + width)?;
        Some(bytes[1..].iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn integer(&mut self) -> Option<i128> {
        let tag = self.peek()?;
        match tag {
            0..=0x7f | 0xe0..=0xff => {
                self.take(1)?;
                Some(i128::from(tag as i8))
            }
            0xcc..=0xcf => self.number(1 << (tag - 0xcc)).map(i128::from),
            0xd0..=0xd3 => {
                let width = 1 << (tag - 0xd0);
                let unused = 64 - 8 * width as u32;
                self.number(width).map(|bits| i128::from(((bits << unused) as i64) >> unused))
            }
            _ => self.fail("not an integer"),
        }
    }

    fn length(&mut self, forms: &Lengths, min_bytes: usize) -> Option<usize> {
        let tag = self.peek()?;
        let size = if forms.fix_mask != 0 && tag & forms.fix_mask == forms.fix {
            self.take(1)?;
            u64::from(tag & !forms.fix_mask)
        } else if forms.tag8 != 0 && tag == forms.tag8 {
            self.number(1)?
        } else if tag == forms.tag16 {
            self.number(2)?
        } else if tag == forms.tag32 {
            self.number(4)?
        } else {
            return self.fail(forms.failure);
        };
        if min_bytes != 0 && size > (self.rest.len() / min_bytes) as u64 {
            return self.fail("a length that the bytes cannot back");
        }
        Some(size as usize)
    }

    fn bytes_of(&mut self, forms: &Lengths) -> Option<&'a [u8]> {
        let size = self.length(forms, 1)?;
        self.take(size)
    }

    /// A list of numbers of `width` bytes each, little endian.
    pub fn packed(&mut self, width: usize) -> Option<&'a [u8]> {
        let bytes = self.bytes_of(&PACKED)?;
        if bytes.len() % width != 0 {
            return self.fail("bytes that are no whole number of elements");
        }
        Some(bytes)
    }
    /// The number of elements of a list that is not packed; they follow.
    pub fn list(&mut self, min_bytes: usize) -> Option<usize> {
        self.length(&LIST, min_bytes)
    }
    /// The begin of a tuple or struct with this many members; they follow.
    pub fn members(&mut self, count: usize) -> Option<()> {
        if self.length(&LIST, 0)? != count {
            return self.fail("another number of values than there are members");
        }
        Some(())
    }
    /// Whether everything was read.
    pub fn finish(&mut self) -> Option<()> {
        if !self.rest.is_empty() {
            return self.fail("more bytes than the value has");
        }
        Some(())
    }
}

impl<'a> Decode<'a> for bool {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        match reader.peek()? {
            0xc2 => reader.take(1).map(|_| false),
            0xc3 => reader.take(1).map(|_| true),
            _ => reader.fail("not a boolean"),
        }
    }
}

macro_rules! number {
    ($($type:ty, $min_bytes:expr, $decode:expr;)*) => {$(
        impl<'a> Decode<'a> for $type {
            const MIN_BYTES: usize = $min_bytes;
            fn decode(reader: &mut Reader<'a>) -> Option<Self> {
                let decode: fn(&mut Reader<'a>) -> Option<$type> = $decode;
                decode(reader)
            }
            fn decode_list(reader: &mut Reader<'a>) -> Option<Vec<Self>> {
                const WIDTH: usize = std::mem::size_of::<$type>();
                let bytes = reader.packed(WIDTH)?;
                let element = |chunk: &[u8]| {
                    let mut bytes = [0; WIDTH];
                    bytes.copy_from_slice(chunk);
                    <$type>::from_le_bytes(bytes)
                };
                Some(bytes.chunks_exact(WIDTH).map(element).collect())
            }
        }
    )*};
}
macro_rules! integers {
    ($($type:ty)*) => {
        number! {$($type, 1, |reader| {
            let value = reader.integer()?;
            match <$type>::try_from(value) {
                Ok(value) => Some(value),
                Err(_) => reader.fail("an integer outside of its type's range"),
            }
        };)*}
    };
}
integers! { i8 i16 i32 i64 u8 u16 u32 u64 }
number! {
    f32, 5, |reader| match reader.peek()? {
        0xca => reader.number(4).map(|bits| f32::from_bits(bits as u32)),
        _ => reader.fail("not a float of 32 bits"),
    };
    // A float of 32 bits loses nothing.
    f64, 5, |reader| match reader.peek()? {
        0xca => f32::decode(reader).map(f64::from),
        0xcb => reader.number(8).map(f64::from_bits),
        _ => reader.fail("not a float"),
    };
}

impl<'a> Decode<'a> for Text<'a> {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        reader.bytes_of(&STRING).map(Text)
    }
}
impl<'a> Decode<'a> for TextBuf {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        Text::decode(reader).map(|text| TextBuf(text.0.to_vec()))
    }
}
impl<'a> Decode<'a> for String {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        match String::from_utf8(TextBuf::decode(reader)?.0) {
            Ok(text) => Some(text),
            Err(_) => reader.fail("a string that is not UTF-8"),
        }
    }
}
impl<'a> Decode<'a> for &'a [u8] {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        reader.packed(1)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        T::decode_list(reader)
    }
}
impl<'a, T: Decode<'a>, const N: usize> Decode<'a> for [T; N] {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        match T::decode_list(reader)?.try_into() {
            Ok(array) => Some(array),
            Err(_) => reader.fail("an array of another length"),
        }
    }
}
impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        if reader.peek()? == 0xc0 {
            return reader.take(1).map(|_| None);
        }
        T::decode(reader).map(Some)
    }
}
impl<'a, K: Decode<'a> + Ord, V: Decode<'a>> Decode<'a> for BTreeMap<K, V> {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        let mut map = BTreeMap::new();
        for _ in 0..reader.length(&MAP, K::MIN_BYTES + V::MIN_BYTES)? {
            let key = K::decode(reader)?;
            if map.insert(key, V::decode(reader)?).is_some() {
                return reader.fail("a key that was there before");
            }
        }
        Some(map)
    }
}

macro_rules! tuples {
    ($(($($type:ident)*))*) => {$(
        impl<'a, $($type: Decode<'a>),*> Decode<'a> for ($($type,)*) {
            fn decode(reader: &mut Reader<'a>) -> Option<Self> {
                reader.members(<[&str]>::len(&[$(stringify!($type)),*]))?;
                Some(($($type::decode(reader)?,)*))
            }
        }
    )*};
}
tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

impl<'a> Decode<'a> for Image<&'a [u8]> {
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        reader.members(4)?;
        let (width, height) = (u32::decode(reader)?, u32::decode(reader)?);
        let format = u8::decode(reader)?;
        let pixels = reader.packed(1)?;
        if channels(format) == 0 {
            return reader.fail("an image of an unknown pixel format");
        }
        let size = u128::from(width) * u128::from(height) * channels(format) as u128;
        if size != pixels.len() as u128 {
            return reader.fail("an image whose pixels do not have its width and height");
        }
        Some(Image { width, height, format, pixels })
    }
}
