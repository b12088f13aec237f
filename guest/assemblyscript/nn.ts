// Neural networks of the host, through wasi-nn (github.com/WebAssembly/wasi-nn).

// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "load_by_name")
declare function nnLoadByName(name: usize, size: u32, graph: usize): u32;
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "init_execution_context")
declare function nnInitExecutionContext(graph: u32, context: usize): u32;
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "set_input")
declare function nnSetInput(context: u32, index: u32, tensor: usize): u32;
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "compute")
declare function nnCompute(context: u32): u32;
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "get_output")
declare function nnGetOutput(context: u32, index: u32, buffer: usize, size: u32, written: usize): u32;

const exchange = memory.data(20);
const F32: u8 = 1;

/** One inference after the other. Valid for the instance's life: keep it from call to call. */
export class Context {
  private handle: u32 = 0;
  /** wasi-nn's number for what went wrong last; 0: nothing. */
  error: u32 = 0;

  /** Of the network that the application gave this name. */
  constructor(name: string) {
    const bytes = String.UTF8.encode(name);
    this.error = nnLoadByName(changetype<usize>(bytes), bytes.byteLength, exchange);
    if (this.error == 0) this.error = nnInitExecutionContext(load<u32>(exchange), exchange);
    this.handle = load<u32>(exchange);
  }

  /** Output 0 of one input of floats, which has this shape: the number of floats that were written; 0 upon an error. */
  infer(dims: StaticArray<u32>, input: StaticArray<f32>, output: StaticArray<f32>): u32 {
    store<u32>(exchange, changetype<usize>(dims));
    store<u32>(exchange, dims.length, 4);
    store<u32>(exchange, F32, 8);
    store<u32>(exchange, changetype<usize>(input), 12);
    store<u32>(exchange, 4 * input.length, 16);
    this.error = nnSetInput(this.handle, 0, exchange);
    if (this.error == 0) this.error = nnCompute(this.handle);
    if (this.error == 0)
      this.error = nnGetOutput(this.handle, 0, changetype<usize>(output), 4 * output.length, exchange);
    return this.error == 0 ? load<u32>(exchange) / 4 : 0;
  }
}
