// Package aloft is the guest SDK for Go: what a module in Go is made of. docs/languages.md says how it is built and sealed,
// docs/guest-abi.md what goes on underneath.
//
//	// ALOFT_OFFLOAD double demo::scaled(double value, std::string_view unit);
//	//
//	//go:wasmexport demo_scaled
//	func scaled(arguments, size uint32) uint32 {
//		return aloft.Call("demo_scaled", arguments, size, 2, func(in *aloft.Reader, out *aloft.Writer) {
//			value, unit := in.Float64(), in.String()
//			if in.Done() {
//				out.Float64(value * factorOf(unit))
//			}
//		})
//	}
//
// The name is the function's qualified one with "_" for "::"; the number is that of its parameters. A Reader's first failure
// is kept: what is read after it is zero, and the caller is told that its arguments were none.
package aloft

import (
	"os"
	"unsafe"
)

// A result descriptor with one segment, as the host reads it, and the bytes that it points at.
type reply struct {
	count, address, size uint32
	bytes                []byte
}

// What the host has addresses of must not be collected. The collector of Go moves nothing.
var (
	buffers = map[uint32][]byte{}
	replies = map[uint32]*reply{}
)

func addressOf(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

// A view of guest memory that the host wrote.
func bytesAt(address, size uint32) []byte {
	if size == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(address))), size)
}

func replyWith(bytes []byte) uint32 {
	made := &reply{count: 1, address: addressOf(unsafe.Pointer(unsafe.SliceData(bytes))), size: uint32(len(bytes)), bytes: bytes}
	descriptor := addressOf(unsafe.Pointer(made))
	replies[descriptor] = made
	return descriptor
}

func say(line string) { os.Stderr.WriteString(line + "\n") } // a host that does not take it is told by the result

// Abort says why, and ends the call: its caller gets the error "trapped", and the message is in its log.
func Abort(message string) {
	say("aloft: call aborted: " + message)
	os.Exit(1)
}

// Call is the body of an export: what a call with these arguments answers. body reads the parameters, asks in.Done(), and
// only then does what it is for.
func Call(name string, arguments, size uint32, parameters int, body func(in *Reader, out *Writer)) uint32 {
	in, out := &Reader{rest: bytesAt(arguments, size)}, &Writer{}
	if in.Members(parameters) {
		body(in, out)
	}
	if !in.Done() {
		say("aloft: the arguments of " + name + " do not decode: " + in.failure)
		return 0
	}
	return replyWith(out.bytes)
}

//go:wasmexport aloft_abi_version
func abiVersion() uint32 { return 1 }

//go:wasmexport aloft_buffer
func buffer(size uint32) uint32 {
	const alignment = 16
	memory := make([]byte, uint64(size)+alignment)
	address := (addressOf(unsafe.Pointer(unsafe.SliceData(memory))) + alignment - 1) &^ (alignment - 1)
	buffers[address] = memory
	return address
}

//go:wasmexport aloft_free_buffer
func freeBuffer(address uint32) { delete(buffers, address) }

//go:wasmexport aloft_release
func release(descriptor uint32) { delete(replies, descriptor) }
