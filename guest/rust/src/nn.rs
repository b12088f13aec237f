//! Neural networks of the host, through wasi-nn (github.com/WebAssembly/wasi-nn).

#[link(wasm_import_module = "wasi_ephemeral_nn")]
extern "C" {
    fn load_by_name(name: *const u8, size: u32, graph: *mut u32) -> u32;
    fn init_execution_context(graph: u32, context: *mut u32) -> u32;
    fn set_input(context: u32, index: u32, tensor: *const Tensor) -> u32;
    fn compute(context: u32) -> u32;
    fn get_output(context: u32, index: u32, buffer: *mut u8, size: u32, written: *mut u32) -> u32;
}

#[repr(C)]
struct Tensor {
    dims: *const u32,
    dims_size: u32,
    kind: u8,
    data: *const u8,
    size: u32,
}

/// wasi-nn's number for what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NnError(pub u32);

fn checked(error: u32) -> Result<(), NnError> {
    if error == 0 {
        Ok(())
    } else {
        Err(NnError(error))
    }
}

/// The elements that tensors can have.
pub trait Element: Copy + Default {
    const KIND: u8;
}
impl Element for f32 {
    const KIND: u8 = 1;
}
impl Element for f64 {
    const KIND: u8 = 2;
}
impl Element for u8 {
    const KIND: u8 = 3;
}
impl Element for i32 {
    const KIND: u8 = 4;
}
impl Element for i64 {
    const KIND: u8 = 5;
}

/// One inference after the other of a network. Valid for the instance's life: keep it from call to call.
#[derive(Clone, Copy)]
pub struct Context(u32);

impl Context {
    /// Of the network that the application gave this name.
    pub fn by_name(name: &str) -> Result<Self, NnError> {
        let (mut graph, mut context) = (0, 0);
        checked(unsafe { load_by_name(name.as_ptr(), name.len() as u32, &mut graph) })?;
        checked(unsafe { init_execution_context(graph, &mut context) })?;
        Ok(Context(context))
    }

    /// The output number 0 of one input, which has this shape.
    pub fn infer<T: Element>(&self, dims: &[u32], input: &[T], output: &mut [T]) -> Result<usize, NnError> {
        let tensor = Tensor {
            dims: dims.as_ptr(),
            dims_size: dims.len() as u32,
            kind: T::KIND,
            data: input.as_ptr() as *const u8,
            size: std::mem::size_of_val(input) as u32,
        };
        checked(unsafe { set_input(self.0, 0, &tensor) })?;
        checked(unsafe { compute(self.0) })?;
        let mut written = 0;
        let size = std::mem::size_of_val(output) as u32;
        checked(unsafe { get_output(self.0, 0, output.as_mut_ptr() as *mut u8, size, &mut written) })?;
        Ok(written as usize / std::mem::size_of::<T>())
    }
}
