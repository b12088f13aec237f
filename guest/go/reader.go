package aloft

import (
	"math"
	"unsafe"
)

// Reader reads MessagePack that someone else wrote, trusting nothing: no length is believed beyond the bytes that are there.
type Reader struct {
	rest    []byte
	failure string
}

// Fail makes the Reader fail: for what the types do not say.
func (in *Reader) Fail(why string) {
	if in.failure == "" {
		in.failure = why
	}
}

// Done tells whether everything was read, and nothing is left. From here on the values can be trusted.
func (in *Reader) Done() bool {
	if len(in.rest) != 0 {
		in.Fail("more bytes than the value has")
	}
	return in.failure == ""
}

// The next tag, which stays; 0xc1, which nothing has, after a failure or at the end.
func (in *Reader) peek() byte {
	if len(in.rest) == 0 {
		in.Fail("the bytes end too early")
	}
	if in.failure != "" {
		return 0xc1
	}
	return in.rest[0]
}

func (in *Reader) take(size uint64) []byte {
	if size > uint64(len(in.rest)) {
		in.Fail("a length that the bytes cannot back")
	}
	if in.failure != "" {
		return nil
	}
	taken := in.rest[:size:size]
	in.rest = in.rest[size:]
	return taken
}

// The big-endian number behind a tag; takes both.
func (in *Reader) number(width uint64) (value uint64) {
	for i, next := range in.take(1 + width) {
		if i > 0 {
			value = value<<8 | uint64(next)
		}
	}
	return value
}

func (in *Reader) integer() (bits uint64, negative bool) {
	tag := in.peek()
	switch {
	case tag < 0x80 || tag >= 0xe0:
		in.take(1)
		return uint64(int64(int8(tag))), tag >= 0xe0
	case tag >= 0xcc && tag <= 0xcf:
		return in.number(1 << (tag - 0xcc)), false
	case tag >= 0xd0 && tag <= 0xd3:
		width := uint64(1) << (tag - 0xd0)
		unused := 64 - 8*width
		value := int64(in.number(width)<<unused) >> unused
		return uint64(value), value < 0
	}
	in.Fail("not an integer")
	return 0, false
}

func (in *Reader) signed(min, max int64) int64 {
	bits, negative := in.integer()
	if value := int64(bits); negative && value >= min || !negative && bits <= uint64(max) {
		return value
	}
	in.Fail("an integer outside of its type's range")
	return 0
}

func (in *Reader) unsigned(max uint64) uint64 {
	bits, negative := in.integer()
	if !negative && bits <= max {
		return bits
	}
	in.Fail("an integer outside of its type's range")
	return 0
}

func (in *Reader) Int8() int8     { return int8(in.signed(math.MinInt8, math.MaxInt8)) }
func (in *Reader) Int16() int16   { return int16(in.signed(math.MinInt16, math.MaxInt16)) }
func (in *Reader) Int32() int32   { return int32(in.signed(math.MinInt32, math.MaxInt32)) }
func (in *Reader) Int64() int64   { return in.signed(math.MinInt64, math.MaxInt64) }
func (in *Reader) Uint8() uint8   { return uint8(in.unsigned(math.MaxUint8)) } // char and std::byte, too
func (in *Reader) Uint16() uint16 { return uint16(in.unsigned(math.MaxUint16)) }
func (in *Reader) Uint32() uint32 { return uint32(in.unsigned(math.MaxUint32)) }
func (in *Reader) Uint64() uint64 { return in.unsigned(math.MaxUint64) }

func (in *Reader) Bool() bool {
	tag := in.peek()
	if tag != 0xc2 && tag != 0xc3 {
		in.Fail("not a boolean")
		return false
	}
	in.take(1)
	return tag == 0xc3
}

func (in *Reader) Float32() float32 {
	if in.peek() != 0xca {
		in.Fail("not a float of 32 bits")
		return 0
	}
	return math.Float32frombits(uint32(in.number(4)))
}

// Float64 takes a float of 32 bits, too: it loses nothing.
func (in *Reader) Float64() float64 {
	switch in.peek() {
	case 0xca:
		return float64(in.Float32())
	case 0xcb:
		return math.Float64frombits(in.number(8))
	}
	in.Fail("not a float")
	return 0
}

// The tags of one kind of length; 0 where the kind has no such form.
type lengths struct {
	fix, fixMask, tag8, tag16, tag32 byte
	failure                          string
}

var (
	stringForms = lengths{0xa0, 0xe0, 0xd9, 0xda, 0xdb, "not a string"}
	packedForms = lengths{0, 0, 0xc4, 0xc5, 0xc6, "not packed numbers"}
	listForms   = lengths{0x90, 0xf0, 0, 0xdc, 0xdd, "not a list"}
	mapForms    = lengths{0x80, 0xf0, 0, 0xde, 0xdf, "not a map"}
)

// A length, of which the bytes that are there can hold so many times minBytes.
func (in *Reader) length(forms *lengths, minBytes uint64) uint64 {
	tag, size := in.peek(), uint64(0)
	switch {
	case forms.fixMask != 0 && tag&forms.fixMask == forms.fix:
		in.take(1)
		size = uint64(tag &^ forms.fixMask)
	case forms.tag8 != 0 && tag == forms.tag8:
		size = in.number(1)
	case tag == forms.tag16:
		size = in.number(2)
	case tag == forms.tag32:
		size = in.number(4)
	default:
		in.Fail(forms.failure)
	}
	if minBytes != 0 && size > uint64(len(in.rest))/minBytes {
		in.Fail("a length that the bytes cannot back")
	}
	if in.failure != "" {
		return 0
	}
	return size
}

// String may be any bytes, which need not be UTF-8.
func (in *Reader) String() string { return string(in.take(in.length(&stringForms, 1))) }

// Bytes is a list of bytes, a view of the arguments.
func (in *Reader) Bytes() []byte { return in.take(in.length(&packedForms, 1)) }

// Nil tells whether an optional has nothing; takes the nil then.
func (in *Reader) Nil() bool {
	if in.peek() != 0xc0 {
		return false
	}
	in.take(1)
	return true
}

// List is the number of elements of a list that is not of numbers, each of at least minBytes (1 is always true); they follow.
func (in *Reader) List(minBytes int) int { return int(in.length(&listForms, uint64(minBytes))) }

// Map is the number of pairs of a map, each of at least minBytes; they follow.
func (in *Reader) Map(minBytes int) int { return int(in.length(&mapForms, uint64(minBytes))) }

// Members is the begin of a tuple or struct: false unless it has this many members. They follow.
func (in *Reader) Members(count int) bool {
	if in.List(0) != count {
		in.Fail("another number of values than there are members")
	}
	return in.failure == ""
}

// Number is what lists can be packed of.
type Number interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Packed is the memory of numbers. A guest is little endian, as the bytes on the wire are.
func packed[T Number](numbers []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(numbers))), len(numbers)*int(unsafe.Sizeof(one)))
}

// Numbers reads a list of numbers.
func Numbers[T Number](in *Reader) []T {
	var one T
	width := int(unsafe.Sizeof(one))
	bytes := in.Bytes()
	if len(bytes)%width != 0 {
		in.Fail("bytes that are no whole number of elements")
		return nil
	}
	numbers := make([]T, len(bytes)/width)
	copy(packed(numbers), bytes)
	return numbers
}

// Array reads an array of count numbers.
func Array[T Number](in *Reader, count int) []T {
	numbers := Numbers[T](in)
	if len(numbers) != count {
		in.Fail("an array of another length")
		return make([]T, count)
	}
	return numbers
}

// Image is rows of interleaved channels. Formats: 1 gray8, 2 bgr8, 3 rgb8, 4 bgra8, 5 rgba8.
type Image struct {
	Width, Height uint32
	Format        uint8
	Pixels        []byte // of one that was read: a view of the arguments
}

func (in *Reader) Image() (image Image) {
	if !in.Members(4) {
		return image
	}
	image = Image{Width: in.Uint32(), Height: in.Uint32(), Format: in.Uint8(), Pixels: in.Bytes()}
	channels := [...]uint64{0, 1, 3, 3, 4, 4}
	if image.Format == 0 || int(image.Format) >= len(channels) {
		in.Fail("an image of an unknown pixel format")
		return Image{}
	}
	stride, size := uint64(image.Width)*channels[image.Format], uint64(len(image.Pixels))
	if stride == 0 && size != 0 || stride != 0 && (size%stride != 0 || size/stride != uint64(image.Height)) {
		in.Fail("an image whose pixels do not have its width and height")
	}
	return image
}
