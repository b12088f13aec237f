package aloft

import (
	"encoding/binary"
	"math"
)

// Writer writes MessagePack in its shortest forms.
type Writer struct{ bytes []byte }

// A tag and the big-endian number behind it.
func (out *Writer) tagged(tag byte, width int, value uint64) {
	var bytes [8]byte
	binary.BigEndian.PutUint64(bytes[:], value)
	out.bytes = append(append(out.bytes, tag), bytes[8-width:]...)
}

func (out *Writer) Nil() { out.bytes = append(out.bytes, 0xc0) }

func (out *Writer) Bool(value bool) {
	if value {
		out.bytes = append(out.bytes, 0xc3)
	} else {
		out.bytes = append(out.bytes, 0xc2)
	}
}

// Uint writes every unsigned integer, char and std::byte.
func (out *Writer) Uint(value uint64) {
	switch {
	case value < 0x80:
		out.bytes = append(out.bytes, byte(value))
	case value <= math.MaxUint8:
		out.tagged(0xcc, 1, value)
	case value <= math.MaxUint16:
		out.tagged(0xcd, 2, value)
	case value <= math.MaxUint32:
		out.tagged(0xce, 4, value)
	default:
		out.tagged(0xcf, 8, value)
	}
}

// Int writes every signed integer, and enumerations of one.
func (out *Writer) Int(value int64) {
	switch {
	case value >= 0:
		out.Uint(uint64(value))
	case value >= -32:
		out.bytes = append(out.bytes, byte(value))
	case value >= math.MinInt8:
		out.tagged(0xd0, 1, uint64(value))
	case value >= math.MinInt16:
		out.tagged(0xd1, 2, uint64(value))
	case value >= math.MinInt32:
		out.tagged(0xd2, 4, uint64(value))
	default:
		out.tagged(0xd3, 8, uint64(value))
	}
}

func (out *Writer) Float32(value float32) { out.tagged(0xca, 4, uint64(math.Float32bits(value))) }
func (out *Writer) Float64(value float64) { out.tagged(0xcb, 8, math.Float64bits(value)) }

// A length in the shortest form that its kind has; 0: it has none of that.
func (out *Writer) length(size int, fix byte, fixBelow int, tag8, tag16, tag32 byte) {
	switch {
	case size < fixBelow:
		out.bytes = append(out.bytes, fix|byte(size))
	case size <= math.MaxUint8 && tag8 != 0:
		out.tagged(tag8, 1, uint64(size))
	case size <= math.MaxUint16:
		out.tagged(tag16, 2, uint64(size))
	default:
		out.tagged(tag32, 4, uint64(size))
	}
}

func (out *Writer) String(text string) {
	out.length(len(text), 0xa0, 32, 0xd9, 0xda, 0xdb)
	out.bytes = append(out.bytes, text...)
}

func (out *Writer) Bytes(bytes []byte) {
	out.length(len(bytes), 0, 0, 0xc4, 0xc5, 0xc6)
	out.bytes = append(out.bytes, bytes...)
}

// List is the begin of a list that is not of numbers, of a tuple or struct; its values follow.
func (out *Writer) List(count int) { out.length(count, 0x90, 16, 0, 0xdc, 0xdd) }

// Map is the begin of a map; its pairs follow, in the order of the keys.
func (out *Writer) Map(count int) { out.length(count, 0x80, 16, 0, 0xde, 0xdf) }

// WriteNumbers writes a list or an array of numbers.
func WriteNumbers[T Number](out *Writer, numbers []T) { out.Bytes(packed(numbers)) }

func (out *Writer) Image(image Image) {
	out.List(4)
	out.Uint(uint64(image.Width))
	out.Uint(uint64(image.Height))
	out.Uint(uint64(image.Format))
	out.Bytes(image.Pixels)
}
