//! Preflights, 404 and 405: whatever no endpoint answers.
fn main() -> std::process::ExitCode {
    shared::runtime::serve(functions::fallback::FUNCTION, functions::fallback::router())
}
