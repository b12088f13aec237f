//! A module in Rust: the function that scale.h declares.

aloft_guest::export! {
    fn in_rust_scaled(numbers: Vec<f64>, by: f64) -> Vec<f64> {
        numbers.iter().map(|number| number * by).collect()
    }
}
