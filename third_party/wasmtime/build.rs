//! Copies the C headers of Wasmtime and those of this crate into one folder: `ALOFT_WASMTIME_INCLUDE_DIR` where the
//! caller sets it, else `include` in the output directory. The C++ headers stay behind: they need the `gc` feature.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if target.extension().is_some_and(|extension| extension == "h") {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=include");
    println!("cargo:rerun-if-env-changed=ALOFT_WASMTIME_INCLUDE_DIR");

    // Set by the build script of wasmtime-c-api-impl (its `links` key is "wasmtime-c-api").
    let upstream = env::var_os("DEP_WASMTIME_C_API_INCLUDE").expect("cargo sets it for a direct dependent");
    let destination = env::var_os("ALOFT_WASMTIME_INCLUDE_DIR")
        .or_else(|| env::var_os("OUT_DIR").map(|dir| PathBuf::from(dir).join("include").into()))
        .expect("cargo sets OUT_DIR");
    copy_tree(Path::new(&upstream), Path::new(&destination))?;
    copy_tree(Path::new("include"), Path::new(&destination))
}
