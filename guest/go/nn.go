package aloft

import (
	"runtime"
	"strconv"
	"unsafe"
)

// The calls of wasi-nn (github.com/WebAssembly/wasi-nn).

//go:wasmimport wasi_ephemeral_nn load_by_name
func nnLoadByName(name string, graph unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn init_execution_context
func nnInitExecutionContext(graph uint32, context unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn set_input
func nnSetInput(context, index uint32, tensor unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn compute
func nnCompute(context uint32) uint32

//go:wasmimport wasi_ephemeral_nn get_output
func nnGetOutput(context, index uint32, buffer unsafe.Pointer, size uint32, written unsafe.Pointer) uint32

// NnError is wasi-nn's number for what went wrong.
type NnError uint32

func (failure NnError) Error() string { return "wasi-nn answered " + strconv.Itoa(int(failure)) }

// Context makes one inference after the other. Valid for the instance's life: keep it from call to call.
type Context struct{ handle uint32 }

// What the host reads and writes lies here: the memory of a stack may move.
var exchange struct {
	handle, written uint32
	tensor          [5]uint32 // dims, their number, the type, data, size
}

// NewContext is of the network that the application gave this name.
func NewContext(name string) (*Context, error) {
	if failure := nnLoadByName(name, unsafe.Pointer(&exchange.handle)); failure != 0 {
		return nil, NnError(failure)
	}
	if failure := nnInitExecutionContext(exchange.handle, unsafe.Pointer(&exchange.handle)); failure != 0 {
		return nil, NnError(failure)
	}
	return &Context{exchange.handle}, nil
}

// Infer32 gives output 0 of one input of floats, which has this shape: the number of floats that were written to output.
func (context *Context) Infer32(dims []uint32, input, output []float32) (int, error) {
	const f32 = 1
	shape := append([]uint32(nil), dims...)
	data := append([]float32(nil), input...)
	result := make([]float32, len(output))
	exchange.tensor = [5]uint32{addressOf(unsafe.Pointer(unsafe.SliceData(shape))), uint32(len(shape)), f32,
		addressOf(unsafe.Pointer(unsafe.SliceData(data))), uint32(4 * len(data))}
	failure := nnSetInput(context.handle, 0, unsafe.Pointer(&exchange.tensor))
	if failure == 0 {
		failure = nnCompute(context.handle)
	}
	if failure == 0 {
		failure = nnGetOutput(context.handle, 0, unsafe.Pointer(unsafe.SliceData(result)), uint32(4*len(result)),
			unsafe.Pointer(&exchange.written))
	}
	runtime.KeepAlive(shape)
	runtime.KeepAlive(data)
	if failure != 0 {
		return 0, NnError(failure)
	}
	copy(output, result)
	return int(exchange.written / 4), nil
}
